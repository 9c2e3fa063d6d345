"""
What is kept of the accounts that listen.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.edge.accounts import Account, Accounts
from flodgatt_tx.edge.feed_access import FeedAccess
from flodgatt_tx.errors import UNAVAILABLE, UnavailableError
from flodgatt_tx.keyword_filters import Filter
from tests.fakes import MemoryMastodon

BAD = frozenset({"bad.example"})
WORSE = frozenset({"worse.example"})
DRAGONS = (Filter("7", "Beasts", ("public",), None, None, "warn", (("dragon", True),)),)
REFRESH = 10  # seconds


class AccountTests(SynchronousTestCase):
    """Accounts that are held, refreshed and let go."""

    def setUp(self) -> None:
        """Let nobody be held."""
        self.clock = MemoryReactorClock()
        self.mastodon = MemoryMastodon()
        self.mastodon.blocked_domains[1] = BAD
        self.accounts = self.make_accounts()
        self.accounts.startService()
        self.addCleanup(lambda: self.assertEqual([], self.clock.getDelayedCalls()))
        self.addCleanup(self.accounts.stopService)

    def make_accounts(self) -> Accounts:
        """Make them."""
        feed_access = FeedAccess(self.mastodon, self.clock)
        return Accounts(self.mastodon, feed_access, self.clock, REFRESH)

    def holding(self, id_: int) -> Deferred[Account]:
        """Begin to hold an account."""
        return Deferred.fromCoroutine(self.accounts.hold(id_))

    def hold(self, id_: int) -> Account:
        """Hold an account."""
        return self.successResultOf(self.holding(id_))

    def wait(self, seconds: int) -> None:
        """Let time pass."""
        for _ in range(seconds):
            self.clock.advance(1)

    def test_loaded(self) -> None:
        """An account that is held is loaded."""
        self.mastodon.filters_of = {1: DRAGONS}
        account = self.hold(1)
        self.assertEqual((1, BAD, True), (account.id, account.blocked_domains, account.loaded))
        self.assertIsNotNone(account.matcher)
        other = self.hold(2)
        self.assertEqual((frozenset(), None), (other.blocked_domains, other.matcher))

    def test_shared(self) -> None:
        """Connections of one account share it; it goes with the last of them."""
        first, second = self.hold(1), self.hold(1)
        self.assertIs(first, second)
        self.accounts.release(first)
        self.assertEqual(1, len(self.accounts))
        self.accounts.release(second)
        self.assertEqual(0, len(self.accounts))

    def test_fresh_for_the_next(self) -> None:
        """Who comes later sees what is true then, and so does who holds it already."""
        first = self.hold(1)
        self.mastodon.blocked_domains[1] = WORSE
        self.hold(1)
        self.assertEqual(WORSE, first.blocked_domains)

    def test_refreshed(self) -> None:
        """What an account blocks is read again as often as is set, and no more after its end."""
        account = self.hold(1)
        self.mastodon.blocked_domains[1] = WORSE
        self.wait(REFRESH - 1)
        self.assertEqual(BAD, account.blocked_domains)
        self.wait(1)
        self.assertEqual(WORSE, account.blocked_domains)
        self.accounts.release(account)
        self.mastodon.asked.clear()
        self.wait(2 * REFRESH)
        self.assertEqual([], self.mastodon.asked)

    def test_stale(self) -> None:
        """What cannot be read again stays as it was, and is tried again."""
        account = self.hold(1)
        self.mastodon.failing = UnavailableError(UNAVAILABLE)
        self.mastodon.blocked_domains[1] = WORSE
        self.wait(REFRESH)
        self.assertEqual(BAD, account.blocked_domains)
        self.mastodon.failing = None
        self.wait(REFRESH)
        self.assertEqual(WORSE, account.blocked_domains)

    def test_unavailable(self) -> None:
        """An account that cannot be loaded is not held."""
        self.mastodon.failing = UnavailableError(UNAVAILABLE)
        self.failureResultOf(self.holding(1), UnavailableError)
        self.assertEqual(0, len(self.accounts))

    def test_given_up(self) -> None:
        """Who gives up waiting holds nothing, and harms nobody who waits too."""
        self.mastodon.held = []
        first, second = self.holding(1), self.holding(1)
        first.cancel()
        self.failureResultOf(first, CancelledError)
        while self.mastodon.held:
            self.mastodon.let_go(holding=True)
        account = self.successResultOf(second)
        self.assertEqual(1, account.holders)
        self.accounts.release(account)
        self.assertEqual(0, len(self.accounts))

    def test_all_gave_up(self) -> None:
        """An answer for an account that nobody holds any more is of no effect."""
        self.mastodon.held = []
        holding = self.holding(1)
        holding.cancel()
        self.failureResultOf(holding, CancelledError)
        while self.mastodon.held:
            self.mastodon.let_go(holding=True)
        self.assertEqual(0, len(self.accounts))

    def test_reload(self) -> None:
        """While filters that have changed are loaded again, the account counts as not loaded."""
        account = self.hold(1)
        self.assertEqual(0, account.reloads)
        self.mastodon.filters_of = {1: DRAGONS}
        self.mastodon.held = []
        self.accounts.reload(1)
        reloaded = account.when_reloaded()
        assert reloaded is not None
        self.assertNoResult(reloaded)
        self.assertFalse(account.loaded)
        while self.mastodon.held:
            self.mastodon.let_go(holding=True)
        self.successResultOf(reloaded)
        self.assertTrue(account.loaded)
        self.assertIsNotNone(account.matcher)

    def test_reload_nobody(self) -> None:
        """Nothing is loaded for an account that nobody holds."""
        self.accounts.reload(9)
        self.assertEqual([], self.mastodon.asked)

    def test_refresh(self) -> None:
        """An account can be loaded again in peace: if that fails it stays as it was."""
        account = self.hold(1)
        self.mastodon.filters_of = {1: DRAGONS}
        self.mastodon.failing = UnavailableError(UNAVAILABLE)
        self.accounts.refresh(1)
        self.assertEqual((None, True), (account.matcher, account.loaded))
        self.mastodon.failing = None
        self.accounts.refresh(1)
        self.assertIsNotNone(account.matcher)
        self.mastodon.asked.clear()
        self.accounts.refresh(9)
        self.assertEqual([], self.mastodon.asked)

    def test_reload_failed(self) -> None:
        """Filters that cannot be loaded are tried again with the next refreshment."""
        account = self.hold(1)
        self.mastodon.failing = UnavailableError(UNAVAILABLE)
        self.accounts.reload(1)
        self.assertFalse(account.loaded)
        self.mastodon.failing = None
        self.wait(REFRESH)
        self.assertTrue(account.loaded)

    def test_stopped(self) -> None:
        """It can be stopped without having been started."""
        self.make_accounts().stopService()
