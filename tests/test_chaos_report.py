"""
The report of a chaos run: each broken promise is told, and none that was kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from chaos.ledger import Tally
from chaos.report import POSTGRESQL, REDIS, Farewell, Outcome, Row, broken_promises, document, table

GOOD = Farewell(0, 0.5, 10, 0)
BACK: dict[str, Any] = {
    "resubscribed": 0.5,
    "first_delivery": 0.6,
    "keys_written": 2.0,
    "ready": 1.0,
}


def outcome(tally: Tally | None = None, farewell: Farewell = GOOD, **row: Any) -> Outcome:
    """Make what was seen during one fault."""
    tallies: Mapping[str, Tally] = {"fault": tally} if tally else {}
    return Outcome([Row("fault", **row)], tallies, farewell)


class PromiseTests(SynchronousTestCase):
    """Promises."""

    def assert_broken(self, sentence: str, seen: Outcome) -> None:
        """Fail unless this is what was broken, and nothing else."""
        self.assertEqual([sentence], broken_promises(seen))

    def test_kept(self) -> None:
        """Losses in an outage, and readers dropped for cause, break no promise."""
        tally = Tally(published=9, unanswered=1, delivered=8, lost_in_window=3)
        for seen in (
            outcome(tally, away=REDIS, for_cause=2, stall=0.9, gaps=1, **BACK),
            outcome(tally, away=POSTGRESQL, let_in=1.9, ready=1.9),
            outcome(),
        ):
            self.assertEqual([], broken_promises(seen))

    def test_events(self) -> None:
        """What is lost, doubled or out of order is told."""
        for name, sentence in (
            ("lost_otherwise", "fault: 2 deliveries were lost outside of an outage."),
            ("duplicates", "fault: 2 events came twice."),
            ("disorders", "fault: 2 events came out of order."),
        ):
            self.assert_broken(sentence, outcome(Tally(**{name: 2})))

    def test_late(self) -> None:
        """What takes longer than two seconds from the return is told, and what never happens."""
        promise = "everything was subscribed again"
        for seconds, when in ((2.5, "2.50 s after its return"), (None, "never")):
            self.assert_broken(
                f"fault: Redis was away, and {promise} {when}, not within 2 s.",
                outcome(away=REDIS, **(BACK | {"resubscribed": seconds})),
            )
        self.assertEqual(4, len(broken_promises(outcome(away=REDIS))))
        self.assert_broken(
            "fault: PostgreSQL was away, and a new client was let in never, not within 2 s.",
            outcome(away=POSTGRESQL, ready=0.1),
        )

    def test_hidden(self) -> None:
        """A gap that is not counted, and an outage that is not admitted, are told."""
        lost = outcome(Tally(lost_in_window=3), away=REDIS, **BACK)
        self.assert_broken("fault: 3 losses, and no gap was counted.", lost)
        self.assert_broken(
            "fault: Redis was away, and the server said that it was ready.",
            outcome(away=REDIS, long=True, **BACK),
        )

    def test_readers(self) -> None:
        """Readers that are dropped without cause, or must wait, are told."""
        self.assert_broken(
            "fault: 1 readers lost their connections without cause.", outcome(without_cause=1)
        )
        self.assert_broken(
            "fault: somebody who asked for the health had to wait for 1.1 s.", outcome(stall=1.1)
        )

    def test_memory(self) -> None:
        """Memory may grow by a twentieth."""
        good, bad = (Outcome([], {}, GOOD, memory=(102_400, after)) for after in (107_520, 107_521))
        self.assertEqual([], broken_promises(good))
        self.assert_broken("Memory grew from 100.0 to 105.0 MB while clients came and went.", bad)

    def test_end(self) -> None:
        """The server ends with status 0, and everybody is told."""
        self.assert_broken(
            "The server ended with status 1 after SIGTERM, not 0.",
            outcome(farewell=Farewell(1, 0.5, 10, 0)),
        )
        self.assert_broken(
            "3 readers were not told that the server goes down.",
            outcome(farewell=Farewell(0, 0.5, 7, 3)),
        )

    def test_others(self) -> None:
        """What was noticed on the way is told, too."""
        seen = Outcome([], {}, GOOD, broken=["A token is in the log"])
        self.assert_broken("A token is in the log.", seen)


class FormTests(SynchronousTestCase):
    """The table, and JSON."""

    def test_table(self) -> None:
        """There is a line for each fault, and one for all of them."""
        lines = table(outcome(Tally(published=9, delivered=8), stall=0.25)).splitlines()
        self.assertEqual(["fault", "fault", "all"], [line.split()[0] for line in lines])
        self.assertEqual(1, len({len(line) for line in lines}))
        self.assertIn("250", lines[2])

    def test_json(self) -> None:
        """All of it can be written as JSON."""
        written = json.loads(json.dumps(document({"one": outcome(Tally(duplicates=1))})))["one"]
        self.assertEqual(1, written["faults"][0]["events"]["duplicates"])
        self.assertEqual(1, written["total"]["duplicates"])
        self.assertEqual(["fault: 1 events came twice."], written["broken_promises"])
