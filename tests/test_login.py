"""
From a token to its viewer.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.login import PATIENCE, Login
from flodgatt_tx.errors import (
    INVALID_TOKEN,
    UNAVAILABLE,
    UnauthorizedError,
    UnavailableError,
)
from flodgatt_tx.viewer import Viewer
from tests.fakes import MemoryMastodon
from tests.stage import viewer


class LoginTests(SynchronousTestCase):
    """Who gets in."""

    def setUp(self) -> None:
        """Give out tokens."""
        self.mastodon = MemoryMastodon()
        self.mastodon.tokens = {f"token{number}": viewer(number) for number in range(50)}
        self.clock = MemoryReactorClock()
        self.logins = Login(self.mastodon, self.clock)
        self.addCleanup(lambda: self.assertEqual([], self.clock.getDelayedCalls()))

    def login(self, token: str) -> Deferred[Viewer]:
        """Log in."""
        return Deferred.fromCoroutine(self.logins.viewer(token))

    def test_closed(self) -> None:
        """Once it is closed nobody gets in: neither who waits nor who comes, but for who left."""
        self.mastodon.held = []
        waiting, left = self.login("token1"), self.login("token2")
        left.cancel()
        self.failureResultOf(left, CancelledError)
        self.assertEqual(1, self.logins.close())
        self.failureResultOf(waiting, UnavailableError)
        self.failureResultOf(self.login("token3"), UnavailableError)
        self.mastodon.let_go()

    def test_viewer(self) -> None:
        """A token leads to its owner."""
        self.assertEqual(viewer(7), self.successResultOf(self.login("token7")))

    def test_nobody(self) -> None:
        """A token that is nobody's is refused."""
        failure = self.failureResultOf(self.login("wrong"), UnauthorizedError)
        self.assertEqual(INVALID_TOKEN, failure.value.message)

    def test_unavailable(self) -> None:
        """If the database does not answer nobody can tell."""
        self.mastodon.failing = UnavailableError(UNAVAILABLE)
        self.failureResultOf(self.login("token1"), UnavailableError)

    def test_together(self) -> None:
        """Many who come at once are looked up together, each to their own."""
        self.mastodon.held = []
        logins = [self.login(f"token{number}") for number in range(50)]
        wrong = self.login("wrong")
        self.mastodon.let_go()
        self.assertEqual(
            [viewer(number) for number in range(50)], [*map(self.successResultOf, logins)]
        )
        self.failureResultOf(wrong, UnauthorizedError)
        self.assertEqual(["viewers"] * 2, self.mastodon.asked)

    def test_patience(self) -> None:
        """A lookup and the one before it, together, take no longer than a client will wait."""
        self.mastodon.held = []
        logins = [self.login("token1"), self.login("token2")]
        self.clock.advance(PATIENCE)
        for each in logins:
            self.failureResultOf(each, UnavailableError)
