"""The parts of the benchmarks that need neither servers nor readers."""

from __future__ import annotations

import io
import json
import os
from contextlib import redirect_stderr

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.__main__ import contestants, parse
from benchmarks.load import LoadError, check, path
from benchmarks.processes import Processes, kilobytes, spent
from benchmarks.scenarios import Scenario, scenarios
from benchmarks.statuses import STAMP, message
from benchmarks.subjects import other
from benchmarks.trial import QUICK, Scale
from flodgatt_tx.envelope import parse_event

ANSWER = {"command": "events", "wanted": 7, "came": 7, "refused": 0, "dropped": 0}


class LoadTests(SynchronousTestCase):
    """What `load` is told, and what it says."""

    def test_path(self) -> None:
        """The two transports ask in the two ways that clients use."""
        api = "/api/v1/streaming"
        self.assertEqual(f"{api}?stream=user&access_token=tok%d", path("ws", "user", "tok%d"))
        self.assertEqual(f"{api}/public?access_token=tok1", path("sse", "public", "tok1"))

    def test_complete(self) -> None:
        """An answer without losses is passed on."""
        self.assertEqual(ANSWER, check(ANSWER))

    def test_losses(self) -> None:
        """Whatever is lost, nothing that was measured counts."""
        for loss in ({"came": 6}, {"refused": 1}, {"dropped": 1}):
            self.assertRaises(LoadError, check, ANSWER | loss)

    def test_message(self) -> None:
        """What is published is an event of 2.2 kB, with one stamp and nothing like one."""
        event = parse_event(message(900_001))
        payload = (event.payload or b"").decode()
        self.assertEqual("update", event.name)
        self.assertEqual("900001", json.loads(payload)["account"]["id"])
        self.assertTrue(2000 < len(payload) < 2400, len(payload))
        self.assertEqual((1, 1), (payload.count(STAMP), payload.count("~")))


class ProcessesTests(SynchronousTestCase):
    """What processes spend."""

    def test_spent(self) -> None:
        """Who came later counts in full, who has left not at all."""
        self.assertAlmostEqual(1.75, spent({1: 1.0, 2: 5.0}, {1: 2.5, 3: 0.25}))

    def test_kilobytes(self) -> None:
        """The two files of /proc have the same form."""
        self.assertEqual(65432, kilobytes("VmHWM:\t  70000 kB\nVmRSS:\t   65432 kB\n", "VmRSS"))
        self.assertEqual(123, kilobytes("Rss:    999 kB\nPss:    123 kB\nPss_Anon: 1 kB\n", "Pss"))

    def test_this_process(self) -> None:
        """Time and memory of a process are there to be read."""
        this = Processes(os.getpid())
        before = this.cpu()
        self.assertEqual(os.getpid(), this.pids()[0])
        sum(range(100_000))
        self.assertTrue(0 < spent(before, this.cpu()) < 5)
        self.assertTrue(0 < this.pss() <= this.rss())

    def test_gone(self) -> None:
        """A process that has ended spends nothing."""
        gone = Processes(2**22 + 1)  # more than Linux ever gives out
        self.assertEqual(({}, 0.0, 0.0), (gone.cpu(), gone.rss(), gone.pss()))


class ScenariosTests(SynchronousTestCase):
    """What is measured."""

    def rows(self) -> dict[tuple[str, str], tuple[float | None, bool]]:
        """Find the limit of each row, and whether it is one of the ratio to the floor."""
        return {
            (name, row.figure): (row.most, row.floor is not None)
            for name, scenario in scenarios(Scale()).items()
            for row in scenario.rows
        }

    def test_limits(self) -> None:
        """What must be reached is said of everything that has a limit."""
        rows = self.rows()
        limits = {key: value for key, value in rows.items() if value[0] is not None}
        last = Scale().growth[-1]
        self.assertEqual(
            {
                ("fan-out-ws", "delivery"): (1.2, True),
                ("fan-out-sse", "delivery"): (1.2, True),
                ("bursts", "delivery"): (0.6, True),
                ("home-ws", "delivery"): (3.5, True),
                ("home-sse", "delivery"): (3.5, True),
                ("public", "both"): (2, True),
                ("public", "queries"): (1, False),
                ("connect-ws", "handshake"): (50, True),
                ("connect-sse", "handshake"): (50, True),
                ("memory-ws", f"each of {last}"): (9.5, False),
                ("memory-sse", f"each of {last}"): (9.5, False),
                ("memory-empty", "rss"): (65, False),
                ("memory-empty", "pss"): (50, False),
                ("held", "one"): (50, False),
                ("held", "paced"): (50, False),
                ("growth", "growth"): (1.25, False),
                ("alone", "growth"): (1.2, False),
            },
            limits,
        )

    def test_floor(self) -> None:
        """Whoever is compared with the floor has one."""
        for scenario in self.every():
            compared = any(row.floor for row in scenario.rows)
            self.assertEqual(compared, scenario.floor is not None, scenario.name)

    def test_names(self) -> None:
        """No two rows of a scenario have the same figure, and quickly measured is the same."""
        for scenario in self.every():
            figures = [row.figure for row in scenario.rows]
            self.assertEqual(len(set(figures)), len(figures), scenario.name)
        self.assertEqual(list(scenarios(Scale())), list(scenarios(QUICK)))

    def test_compared(self) -> None:
        """Growth is told from 1000 to 10 000 readers where so many are measured."""
        self.assertEqual((1000, 10_000), Scale().compared)
        self.assertEqual((100, 1000), QUICK.compared)

    def every(self) -> list[Scenario]:
        """Make them all, in both sizes."""
        return [each for scale in (Scale(), QUICK) for each in scenarios(scale).values()]


class CommandLineTests(SynchronousTestCase):
    """What the command line says."""

    def test_rounds(self) -> None:
        """Three rounds count, one if it shall be quick, or as many as are asked for."""
        for words, rounds in (([], 3), (["--quick"], 1), (["--quick", "--rounds", "5"], 5)):
            self.assertEqual(rounds, parse(words).rounds)

    def test_unknown(self) -> None:
        """A scenario that there is not ends it before anything is started."""
        with redirect_stderr(io.StringIO()) as said:
            self.assertRaises(SystemExit, parse, ["--only", "public", "--only", "nothing"])
        self.assertIn("no such scenario: nothing", said.getvalue())

    def test_contestants(self) -> None:
        """Every server is measured, the floor last."""
        words = ["--server", "node=node index.js", "--server", "./another 'one more'"]
        self.assertEqual(["flodgatt_tx", "node", "other", "floor"], list(contestants(parse(words))))
        alone = contestants(parse([*words, "--without-own"]))
        self.assertEqual(["node", "other", "floor"], list(alone))

    def test_commands(self) -> None:
        """A command has words; an equals sign in it is not always behind a name."""
        for words, name, command in (
            ("node=node index.js", "node", ("node", "index.js")),
            ("node 'index js'", "other", ("node", "index js")),
            ("env A=B node index.js", "other", ("env", "A=B", "node", "index.js")),
        ):
            subject = other(words)
            self.assertEqual((name, command), (subject.name, subject.command))
