"""
Whether and how PostgreSQL is reached over TLS, in libpq's words.

https://www.postgresql.org/docs/current/libpq-ssl.html says what each mode protects against.
"""

from __future__ import annotations

from collections.abc import Mapping

from flodgatt_tx.lookup import Lookup
from flodgatt_tx.service_url import BadUrlError

MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

# The last of these asks Node's driver to read sslmode as libpq does.
PARAMETERS = ("ssl", "sslmode", "sslrootcert", "uselibpqcompat")

_NODE_MODES = {"no-verify": "require"}
# What other programs than libpq understand by ssl=…, and what libpq makes of it.
_SWITCH = {"true": "require", "1": "require", "false": "disable", "0": "disable"}
_CERTIFICATES = ("sslcert", "sslkey", "sslrootcert")


def from_variables(lookup: Lookup, *names: str) -> str:
    """Read the first of these variables that is set; without any there is no TLS, as for Node."""
    mode = lookup.choice(*names, default="disable", among=(*MODES, *_NODE_MODES))
    return _NODE_MODES.get(mode, mode)


def from_url(lookup: Lookup, parameters: Mapping[str, str]) -> str:
    """
    Find out what the parameters of a URL mean.

    :raises BadUrlError: if they name no mode.
    """
    if mode := parameters.get("sslmode"):
        mode = _NODE_MODES.get(mode, mode)
        if mode not in MODES:
            raise BadUrlError(f"sslmode is none of {', '.join(MODES)}")
        return mode
    if switch := parameters.get("ssl"):
        if switch not in _SWITCH:
            raise BadUrlError("ssl is neither true nor false")
        return _SWITCH[switch]
    if any(parameters.get(name) for name in _CERTIFICATES):
        # Node's driver takes certificates for a wish for TLS, and verifies.
        return "verify-full"
    if parameters.get("sslnegotiation") == "direct":
        return "require"
    return from_variables(lookup, "PGSSLMODE")


def warn(lookup: Lookup, mode: str, root: str | None) -> None:
    """Leave a warning with *lookup* if the mode protects less than one might think."""
    if mode == "require" and not root:
        lookup.warnings.append(
            "sslmode require encrypts what goes to PostgreSQL, but does not verify who answers; "
            "verify-full does"
        )
    if mode == "disable" and root:
        lookup.warnings.append("no effect, since sslmode is disable: PGSSLROOTCERT")
