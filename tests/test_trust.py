"""
Whose certificates are believed.
"""

from __future__ import annotations

from pathlib import Path

from twisted.internet.ssl import DN, KeyPair, PrivateCertificate, platformTrust
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.trust import trust_root


def certificate(name: str) -> str:
    """Make a certificate as PEM."""
    key = KeyPair.generate(size=2048)
    request = key.certificateRequest(_name(name))
    made: PrivateCertificate = key.newCertificate(
        key.signCertificateRequest(_name(name), request, lambda _: True, 1)
    )
    return str(made.dumpPEM(), "ascii")


def _name(name: str) -> object:
    return DN(commonName=name)


class TrustTests(SynchronousTestCase):
    """Which authorities count."""

    def test_platform(self) -> None:
        """Without more it is those of the platform."""
        for nothing in (None, ""):
            self.assertEqual(type(platformTrust()), type(trust_root(nothing)))

    def test_extra(self) -> None:
        """A file adds all that it holds."""
        path = Path(self.mktemp())
        plain = trust_root(self._written(path, ""))
        more = trust_root(self._written(path, "# ours\n" + certificate("a") + certificate("b")))
        self.assertEqual(2, len(more._caCerts) - len(plain._caCerts))

    def test_missing(self) -> None:
        """A file that is not there is told to whoever starts the server."""
        self.assertRaises(OSError, trust_root, self.mktemp())

    def _written(self, path: Path, text: str) -> str:
        path.write_text(text)
        return str(path)
