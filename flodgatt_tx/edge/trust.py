"""
Whose certificates are believed.
"""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Any

from twisted.internet.ssl import Certificate, platformTrust, trustRootFromCertificates

_CERTIFICATE = re.compile(b"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def trust_root(extra_ca_certs: str | None) -> Any:
    """
    The certificate authorities of the platform, and those in the PEM file *extra_ca_certs*.

    :raises OSError: if that file cannot be read.
    :return: what `optionsForClientTLS` takes as `trustRoot`.
    """
    if not extra_ca_certs:
        return platformTrust()
    bundles = [extra_ca_certs, ssl.get_default_verify_paths().cafile]
    texts = [Path(bundle).read_bytes() for bundle in bundles if bundle]
    return trustRootFromCertificates(
        [Certificate.loadPEM(found) for text in texts for found in _CERTIFICATE.findall(text)]
    )
