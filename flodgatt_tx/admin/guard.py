"""
Who may ask an administrator's server: pages of its own, in a browser that means it.

A page of a stranger can have its own name lead to this machine (DNS rebinding), and then its
scripts are taken for ours. Such a request still tells the stranger's name as its host. So hosts
have to be addresses or `localhost`, which nobody else can have lead here.
"""

from __future__ import annotations

import re
from ipaddress import ip_address

from flodgatt_tx.errors import FOREIGN_HOST, FOREIGN_ORIGIN, ForbiddenError

_HOST = re.compile(rb"\r\nhost:[ \t]*([^\r\n]*)", re.IGNORECASE)
_ORIGIN = re.compile(rb"\r\norigin:[ \t]*([^\r\n]*)", re.IGNORECASE)
_PARTS = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^:\[\]]+))(?::\d{1,5})?", re.IGNORECASE)


def check_head(head: bytes) -> None:
    """
    Make sure that a request, of which this is the head, was meant for this server.

    :raises ForbiddenError: if its host may be a stranger's, or its origin is.
    """
    hosts = [each.strip().lower() for each in _HOST.findall(head)]
    if len(hosts) != 1 or not _is_ours(hosts[0].decode("latin-1")):
        raise ForbiddenError(FOREIGN_HOST)
    ours = (b"http://" + hosts[0], b"https://" + hosts[0])
    if any(each.strip().lower() not in ours for each in _ORIGIN.findall(head)):
        raise ForbiddenError(FOREIGN_ORIGIN)


def _is_ours(host: str) -> bool:
    parts = _PARTS.fullmatch(host)
    if not parts:
        return False
    if parts[2] == "localhost":
        return True
    try:
        ip_address(parts[1] or parts[2])
    except ValueError:
        return False
    return True
