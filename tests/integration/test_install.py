"""Installed in each of the usual ways, twistd finds the plugin, and the plugin its parts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
import tempfile
import venv
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.integration.site import ROOT, TWISTD

# What a build leaves behind, and what it does not look at.
IGNORED = shutil.ignore_patterns(
    ".*", "build", "dist", "*.egg-info", "_trial_temp*", "__pycache__", "tests", "benchmarks"
)
PIP = ("-m", "pip", "--disable-pip-version-check", "--quiet")
ENVIRONMENT = {name: os.environ[name] for name in os.environ if not name.startswith("PYTHON")}


def builds_wheels() -> bool:
    """Tell whether the setuptools that are here can build without others."""
    release = tuple(int(number) for number in version("setuptools").split(".")[:2])
    return release >= (70, 1) or find_spec("wheel") is not None


# Else pip fetches newer setuptools to build with.
OFFLINE = ("--no-index", "--no-build-isolation") if builds_wheels() else ()


class InstallTests(SynchronousTestCase):
    """
    From a copy of the sources to a server that starts.

    Dependencies are those of the running interpreter; so are setuptools if they are new enough,
    and then no network is needed.
    """

    def setUp(self) -> None:
        """Copy the sources, and make an environment with nothing of us in it."""
        if not (ROOT / "setup.py").exists():
            raise SkipTest("these are no sources")
        folder = tempfile.TemporaryDirectory(prefix="flodgatt-install-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.sources = self.folder / "sources"
        shutil.copytree(ROOT, self.sources, ignore=IGNORED)
        self.python = self.make_venv()

    def make_venv(self) -> str:
        """Make a virtual environment that can import what this interpreter can, less this."""
        venv.create(self.folder / "venv", with_pip=False, symlinks=True)
        borrowed = self.folder / "borrowed"
        borrowed.mkdir()
        for path in map(Path, {sysconfig.get_path(name) for name in ("purelib", "platlib")}):
            for each in path.iterdir():
                if "flodgatt" not in each.name and each.suffix not in (".pth", ".egg-link"):
                    (borrowed / each.name).symlink_to(each)
        python = str(self.folder / "venv" / "bin" / "python")
        where = "import sysconfig; print(sysconfig.get_path('purelib'))"
        site_packages = self.run_python(python, "-c", where).strip()
        (Path(site_packages) / "borrowed.pth").write_text(f"{borrowed}\n")
        return python

    def run_python(self, python: str, *arguments: str) -> str:
        """Run Python where there is nothing to import by accident; return its output."""
        done = subprocess.run(
            [python, *arguments],
            cwd=self.folder,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if "No matching distribution found for setuptools" in done.stderr:
            raise SkipTest("setuptools are too old here, and others cannot be fetched")
        self.assertEqual(0, done.returncode, msg=done.stdout + done.stderr)
        return done.stdout

    def install(self, *what: str) -> None:
        """Let pip install, as it is, what is there."""
        self.run_python(self.python, *PIP, "install", "--no-deps", *OFFLINE, *what)

    def assert_works(self, place: Path) -> None:
        """Fail unless twistd lists the plugin, and the plugin is complete and came from there."""
        twistd = ("-c", "from twisted.scripts.twistd import run; run()")
        self.assertIn("    flodgatt ", self.run_python(self.python, *twistd, "--help"))
        options = self.run_python(self.python, *twistd, "flodgatt", "--help")
        self.assertIn("--check", options)
        # A wheel must not leave out what is no Python, nor what only a demonstration needs.
        parts = (
            "import flodgatt_tx, flodgatt_tx.edge.tap; from flodgatt_tx.demo import site, guardian;"
            " assert site.SCHEMA.exists() and site.PEOPLE.exists();"
            " print(flodgatt_tx.__file__)"
        )
        self.assertTrue(Path(self.run_python(self.python, "-c", parts)).is_relative_to(place))

    def test_wheel(self) -> None:
        """A wheel carries everything, and a package of Twisted's own is not in it."""
        wheels = self.folder / "wheels"
        into = ("-w", str(wheels), str(self.sources))
        self.run_python(self.python, *PIP, "wheel", "--no-deps", *OFFLINE, *into)
        (wheel,) = wheels.glob("*.whl")
        listed = self.run_python(self.python, "-m", "zipfile", "-l", str(wheel))
        self.assertIn("twisted/plugins/flodgatt_plugin.py", listed)
        self.assertNotIn("twisted/__init__.py", listed)
        self.assertNotIn("twisted/plugins/__init__.py", listed)
        self.assertNotIn("tests/", listed)
        self.install(str(wheel))
        self.assert_works(self.folder / "venv")

    def test_sources(self) -> None:
        """`pip install .` does the same."""
        self.install(str(self.sources))
        self.assert_works(self.folder / "venv")

    def test_development(self) -> None:
        """`pip install -e`, in the way of the Makefile, leaves the sources where they are."""
        self.install(
            "--use-pep517", "--config-settings", "editable_mode=compat", "-e", str(self.sources)
        )
        self.assert_works(self.sources)

    def test_running(self) -> None:
        """The environment that runs the tests has it, too."""
        done = subprocess.run(
            [TWISTD, "--help"], cwd="/", capture_output=True, text=True, timeout=30, check=True
        )
        self.assertIn("    flodgatt ", done.stdout)
