"""
What a worker is sent out with.
"""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.settings import Layer
from flodgatt_tx.workers.errand import Errand


def errand(number: int, workers: int, **variables: str) -> Errand:
    """Make one with these variables."""
    layers = [Layer("environment", variables)]
    return Errand(number, workers, layers, ("tcp:1",), "me", ((0, 3), (1, None)), True)


class ErrandTests(SynchronousTestCase):
    """It crosses to the worker, and is divided among all of them."""

    def test_crosses(self) -> None:
        """It comes out as it went in, without what is Mastodon's alone."""
        sent = errand(1, 2, DB_POOL="7", SECRET_KEY_BASE="secret", DB_PASS="hush")
        crossed = json.dumps(sent.as_json())
        self.assertNotIn("SECRET_KEY_BASE", crossed)
        received = Errand.from_json(json.loads(crossed))
        self.assertEqual({"DB_POOL": "7", "DB_PASS": "hush"}, received.layers[0].values)
        self.assertEqual([(0, 3), (1, None)], received.doors)
        self.assertEqual(("tcp:1",), received.settings().listen)
        self.assertEqual((1, 2, "me", True), (sent.number, sent.workers, sent.user, sent.cautious))

    def test_shares(self) -> None:
        """All parts are the total, and nobody has to do without."""
        for total, workers, parts in (
            (10, 4, [3, 3, 2, 2]),
            (8, 2, [4, 4]),
            (1, 3, [1, 1, 1]),
            (0, 2, [0, 0]),
        ):
            shares = [errand(n + 1, workers).share(total) for n in range(workers)]
            self.assertEqual(parts, shares)

    def test_settings(self) -> None:
        """What all may have together is divided; what each client may have is not."""
        settings = errand(
            1, 2, DB_POOL="5", FLODGATT_MAX_CONNECTIONS="101", FLODGATT_MAX_UNSENT_TOTAL="1000"
        ).settings()
        self.assertEqual(3, settings.database.pool)
        self.assertEqual(51, settings.limits.connections)
        self.assertEqual(500, settings.limits.unsent_total)
        self.assertEqual(300, settings.limits.connections_per_address)
        self.assertIsNone(errand(1, 2).settings().limits.connections)
