"""
Whose certificates are believed.

An authority file of Redis' or PostgreSQL's own stands alone. Else it is the platform's that count,
and with them those of `NODE_EXTRA_CA_CERTS`.
"""

from __future__ import annotations

import os
import re
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import certifi
from OpenSSL.crypto import Error
from twisted.internet.ssl import Certificate, trustRootFromCertificates

from flodgatt_tx.database_settings import DatabaseSettings

_CERTIFICATE = re.compile(b"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class TrustError(Exception):
    """Certificates or keys cannot be used; the text names the file and says why."""


def bundle() -> str:
    """Name the file of the platform's authorities, or where it has none, of Mozilla's."""
    return ssl.get_default_verify_paths().cafile or certifi.where()


def certificates(path: str) -> list[Certificate]:
    """
    Read all certificates in a PEM file.

    :raises TrustError: if there are none, or they cannot be read.
    """
    found = _CERTIFICATE.findall(read(path))
    try:
        loaded = [Certificate.loadPEM(each) for each in found]
    except Error:
        raise TrustError(f"{path} holds a certificate that is broken") from None
    if not loaded:
        raise TrustError(f"{path} holds no certificate in PEM")
    return loaded


def read(path: str) -> bytes:
    """
    Read a file.

    :raises TrustError: if it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise TrustError(f"{path} cannot be read: {error.strerror}") from None


def trust_root(own: str | None, extra: str | None) -> Any:
    """
    The authorities in the file *own*; without it the platform's, and those in the file *extra*.

    :raises TrustError: if a file cannot be read.
    :return: what `CertificateOptions` takes as `trustRoot`.
    """
    paths = [own] if own else [*([extra] if extra else []), bundle()]
    return trustRootFromCertificates([each for path in paths for each in certificates(path)])


def with_authorities(settings: DatabaseSettings, extra: str | None) -> DatabaseSettings:
    """
    Name the file of the authorities for libpq, which by itself would look only into the home
    directory, and in the binary wheel knows no `system`.

    :raises TrustError: if the file *extra* is needed and cannot be read.
    """
    own = settings.sslrootcert if settings.sslrootcert != "system" else None
    if own or not (settings.sslmode.startswith("verify") or settings.sslrootcert):
        return settings
    return replace(settings, sslrootcert=_joined(extra) if extra else bundle())


def _joined(extra: str) -> str:
    """Write the platform's authorities and those in *extra* to a file in memory, and name it."""
    certificates(extra)
    # For as long as the process lives: libpq reads it with each connection.
    file = os.memfd_create("authorities")
    with os.fdopen(file, "wb", closefd=False) as joined:
        joined.write(read(extra) + b"\n" + read(bundle()))
    return f"/proc/self/fd/{file}"
