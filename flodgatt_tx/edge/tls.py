"""
TLS to Redis and to Sentinel, and in plain words why there is none.

Twisted's own check of names is not used: that of Twisted 26.10 lets a certificate pass that names
nobody, and OpenSSL's reasons for refusing one are lost on its way.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

from OpenSSL import SSL, crypto
from service_identity import CertificateError, VerificationError
from service_identity.hazmat import DNS_ID, IPAddress_ID, verify_service_identity
from service_identity.pyopenssl import extract_patterns
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from twisted.internet.ssl import CertificateOptions
from twisted.python.failure import Failure
from zope.interface import implementer

from flodgatt_tx.edge.trust import TrustError, certificates, read, trust_root
from flodgatt_tx.redis_settings import RedisSettings

Reach = Callable[[str, int], IStreamClientEndpoint]

_STRANGER = "is signed by no authority that is trusted"
# By OpenSSL's numbers, X509_V_ERR_…
_REASONS = {
    9: "is not valid yet",
    10: "has expired",
    **dict.fromkeys((2, 18, 19, 20, 21), _STRANGER),
    26: "is not meant for servers",
}


class UntrustedError(Exception):
    """The other side's certificate is not good; the text is a sentence about it."""


def reaching(reactor: Any, settings: RedisSettings, extra_ca_certs: str | None) -> Reach:
    """
    Say how to get to a host and a port: over TCP, or over TLS whose certificate is verified.

    :raises TrustError: if certificates, the key or a host name cannot be used.
    """
    if not settings.tls:
        return partial(HostnameEndpoint, reactor)
    options = _options(settings, extra_ca_certs)

    def reach(host: str, port: int) -> IStreamClientEndpoint:
        return wrapClientTLS(VerifiedServer(host, options), HostnameEndpoint(reactor, host, port))

    return reach


def tls_problem(error: BaseException | None) -> str | None:
    """Say what went wrong if it was TLS that did."""
    if isinstance(error, UntrustedError):
        return str(error)
    if not isinstance(error, SSL.Error):
        return None
    # OpenSSL's errors come as tuples, of which the last word says what happened.
    entries = error.args[0] if error.args else None
    return str(entries[-1][-1]) if isinstance(entries, list) and entries else "TLS has failed"


def _options(settings: RedisSettings, extra_ca_certs: str | None) -> CertificateOptions:
    root = trust_root(settings.tls_ca, extra_ca_certs)
    if not settings.tls_certificate:
        return CertificateOptions(trustRoot=root)
    certificate, *chain = certificates(settings.tls_certificate)
    key_path = settings.tls_key or settings.tls_certificate
    options = CertificateOptions(
        trustRoot=root,
        privateKey=_private_key(key_path),
        certificate=certificate.original,
        extraCertChain=[each.original for each in chain],
    )
    try:
        options.getContext()
    except SSL.Error:
        belongs = f"{key_path} holds no key of the certificate in {settings.tls_certificate}"
        raise TrustError(belongs) from None
    return options


def _private_key(path: str) -> crypto.PKey:
    data = read(path)
    try:
        # Without the passphrase OpenSSL would ask for one on the terminal.
        return crypto.load_privatekey(crypto.FILETYPE_PEM, data, passphrase=b"")
    except crypto.Error:
        raise TrustError(f"{path} holds no private key in PEM without a passphrase") from None


@implementer(IOpenSSLClientConnectionCreator)
class VerifiedServer:
    """TLS to a server whose certificate has to be for *host*, a name or an IP address."""

    def __init__(self, host: str, options: CertificateOptions) -> None:
        self._host = host
        self._options = options
        address = isIPAddress(host) or isIPv6Address(host)
        try:
            self._identity = IPAddress_ID(host) if address else DNS_ID(host)
        except ValueError:
            raise TrustError(f"{host} is no name that a certificate could be for") from None

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:  # noqa: N802, N803 # Twisted's
        """See `IOpenSSLClientConnectionCreator`."""
        connection = SSL.Connection(self._options.getContext(), None)
        if isinstance(self._identity, DNS_ID):
            connection.set_tlsext_host_name(self._identity.hostname)
        # The connection belongs to the protocol.
        callback = partial(self._verify, weakref.ref(tlsProtocol))
        connection.set_verify(SSL.VERIFY_PEER, callback)
        return connection

    def _verify(
        self,
        protocol: Callable[[], Any],
        connection: SSL.Connection,
        certificate: crypto.X509,
        error: int,
        depth: int,
        good: int,
    ) -> bool:
        """Judge a certificate; OpenSSL shows those above the server's own first."""
        problem = self._problem(certificate, depth) if good else _reason(error, depth)
        if problem and (waiting := protocol()):
            waiting.failVerification(Failure(UntrustedError(problem)))
        return not problem

    def _problem(self, certificate: crypto.X509, depth: int) -> str | None:
        if depth:
            return None
        try:
            verify_service_identity(extract_patterns(certificate), [self._identity], [])
        except (VerificationError, CertificateError):
            return f"its certificate is not for {self._host}"
        except Exception as error:
            # What is not understood is not good, and nothing may be raised through OpenSSL.
            return f"its certificate cannot be read ({type(error).__name__})"
        return None


def _reason(error: int, depth: int) -> str:
    reason = _REASONS.get(error, f"is not good (OpenSSL's error {error})")
    above = depth and reason is not _STRANGER
    return f"{'the certificate of its authority' if above else 'its certificate'} {reason}"
