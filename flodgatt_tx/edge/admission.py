"""
Who is let in, and how much of whoever is in may be.

Every connection has a `Visit` from the moment in which it is accepted until it is gone, whichever
transport serves it; what it is counted as is released with it. Addresses are never logged.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil
from typing import NoReturn

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from flodgatt_tx.client_address import client_address
from flodgatt_tx.edge.metrics import Metrics
from flodgatt_tx.errors import (
    HEADER_TOO_LARGE,
    TOO_MANY_CONNECTIONS,
    TOO_MANY_LOGINS,
    TOO_MANY_SUBSCRIPTIONS,
    UNAVAILABLE,
    HeaderTooLargeError,
    RefusalError,
    TooManyRequestsError,
    UnavailableError,
)
from flodgatt_tx.failed_logins import FailedLogins
from flodgatt_tx.limits import Limits
from flodgatt_tx.pace import Pace
from flodgatt_tx.quota import Quota
from flodgatt_tx.trusted_proxies import Network

# Seconds whose messages a client may say at once: after a reconnect it subscribes to all it had.
BURST = 10
# How long those who are only let in to be told that they may not, or to ask how the server is, may
# take to say what they want, in seconds.
ANTEROOM_TIMEOUT = 5
_WARNING_PERIOD = 60  # seconds

_log = Logger()


class Admission:
    """Counts those who are here, and what they do, against the *limits*."""

    def __init__(
        self,
        limits: Limits,
        trusted_proxies: Sequence[Network],
        metrics: Metrics,
        clock: IReactorTime,
    ) -> None:
        self.limits = limits
        self.trusted_proxies = trusted_proxies
        self.inside = 0
        self.late = 0
        self.addresses: Quota[bytes] = Quota(limits.connections_per_address)
        self.accounts: Quota[int] = Quota(limits.connections_per_account)
        self.failures = FailedLogins(limits.failed_logins)
        self.pace = Pace(limits.messages_per_second, limits.messages_per_second * BURST)
        self._refused = metrics.connections_refused
        self._clock = clock
        self._warned: dict[str, float] = {}

    @property
    def now(self) -> float:
        """The time by the clock that all limits are counted by."""
        return self._clock.seconds()

    @property
    def here(self) -> int:
        """How many connections there are."""
        return self.inside + self.late

    @property
    def full(self) -> bool:
        """Whether as many are inside as may be."""
        return bool(self.limits.connections) and self.inside >= (self.limits.connections or 0)

    def arrive(self, peer: str | None) -> Visit | None:
        """
        Let a connection in; None if there is not even room to tell it that it may not come.

        A *peer* that is no proxy is counted from now on, for it may never say anything.
        """
        address = client_address(peer, (), self.trusted_proxies)
        if self.full:
            reason = "full"
        elif address is None or self.addresses.take(address):
            self.inside += 1
            return Visit(self, address, late=False)
        else:
            reason = "address"
        if self.late >= self.limits.anteroom:
            self.note(reason)
            return None
        self.late += 1
        return Visit(self, None, late=True)

    def may_subscribe(self, streams: int) -> None:
        """
        Make sure that one more stream may be heard where so many are.

        :raises TooManyRequestsError: if not.
        """
        if streams >= self.limits.subscriptions > 0:
            self.refuse("subscriptions", TooManyRequestsError(TOO_MANY_SUBSCRIPTIONS))

    def note(self, reason: str) -> None:
        """Count a refusal, and warn of its kind now and then."""
        self._refused.labels(reason).inc()
        _log.debug("refused: {reason}", reason=reason)
        if self._warned.get(reason, -_WARNING_PERIOD) + _WARNING_PERIOD <= self.now:
            self._warned[reason] = self.now
            _log.warn(
                "a client was refused by a limit: {reason}; the metrics count the others of this"
                " minute",
                reason=reason,
            )

    def refuse(self, reason: str, refusal: RefusalError) -> NoReturn:
        """Note a refusal, and raise it."""
        self.note(reason)
        raise refusal


class Visit:
    """
    What one connection is counted as.

    It is *proxied* if each of its requests may be another client's. It came *late* if it was let in
    though the server was full, or its client had too many connections.
    """

    __slots__ = ("_account", "_address", "_admission", "_full_at", "_gone", "_proxied", "late")

    def __init__(self, admission: Admission, address: bytes | None, late: bool) -> None:
        self._admission = admission
        self._address = address
        self._proxied = False
        self._gone = False
        self._account: int | None = None
        self._full_at: float | None = 0.0
        self.late = late

    def ask(self, peer: str | None, forwarded: Iterable[str], probe: bool) -> None:
        """
        Count a request for its client, and not for that of the request before.

        A *probe*, which asks how the server is, is answered by a full server too.

        :raises RefusalError: if the server is full, or its client has too many connections.
        """
        admission = self._admission
        self.rest()
        if self.late and not admission.full:
            self.late = False
            admission.late -= 1
            admission.inside += 1
        if self.late and not probe:
            admission.refuse("full", UnavailableError(UNAVAILABLE))
        if self._address is not None:
            return
        address = client_address(peer, (), admission.trusted_proxies)
        self._proxied = address is None
        if self._proxied:
            address = client_address(None, forwarded, admission.trusted_proxies)
        if address is not None:
            if not admission.addresses.take(address):
                admission.refuse("address", TooManyRequestsError(TOO_MANY_CONNECTIONS))
            self._address = address

    def too_long(self) -> NoReturn:
        """Refuse a request for its head's length."""
        self._admission.refuse("header", HeaderTooLargeError(HEADER_TOO_LARGE))

    def try_token(self) -> None:
        """
        Make sure that a token may be looked up.

        :raises TooManyRequestsError: if too many of the same client's were none.
        """
        admission = self._admission
        if self._address is not None:
            seconds = admission.failures.wait(self._address, admission.now)
            if seconds > 0:
                refusal = TooManyRequestsError(TOO_MANY_LOGINS, ceil(seconds))
                admission.refuse("failed_logins", refusal)

    def fail(self) -> None:
        """Take note that the token was none."""
        if self._address is not None:
            self._admission.failures.add(self._address, self._admission.now)

    def log_in(self, account: int) -> None:
        """
        Count the connection for an account.

        :raises TooManyRequestsError: if it has too many.
        """
        if not self._admission.accounts.take(account):
            self._admission.refuse("account", TooManyRequestsError(TOO_MANY_CONNECTIONS))
        self._account = account

    def speak(self) -> bool:
        """Count a message; return whether it was not one too many, as all are after such a one."""
        admission = self._admission
        if self._full_at is not None and admission.limits.messages_per_second:
            self._full_at = admission.pace.spend(self._full_at, admission.now)
            if self._full_at is None:
                admission.note("messages")
        return self._full_at is not None

    def time_out(self) -> None:
        """Take note that the head of a request did not come in time."""
        self._admission.note("handshake")

    def leave(self) -> None:
        """Release all that is counted; once is enough."""
        if self._gone:
            return
        self._gone = self._proxied = True
        self.rest()
        if self.late:
            self._admission.late -= 1
        else:
            self._admission.inside -= 1

    def rest(self) -> None:
        """Be nobody's connection, if it is a proxy's, as it is between two requests."""
        admission = self._admission
        if self._address is not None and self._proxied:
            admission.addresses.release(self._address)
            self._address = None
        if self._account is not None:
            admission.accounts.release(self._account)
            self._account = None
