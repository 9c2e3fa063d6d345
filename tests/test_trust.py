"""
Whose certificates are believed.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from types import SimpleNamespace

import certifi
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.database_settings import DatabaseSettings
from flodgatt_tx.edge.trust import TrustError, bundle, trust_root, with_authorities
from tests.certificates import Authority


class TrustTestCase(SynchronousTestCase):
    """A file with two authorities."""

    def setUp(self) -> None:
        """Write it."""
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        paths = [Authority(self.directory, name).path for name in ("a", "b")]
        self.extra = self.directory / "extra.pem"
        self.extra.write_text("# ours\n" + "".join(path.read_text() for path in paths))


class TrustTests(TrustTestCase):
    """Which authorities count."""

    def count(self, own: str | None, extra: str | None) -> int:
        """How many there are."""
        return len(trust_root(own, extra)._caCerts)

    def test_platform(self) -> None:
        """Without more it is those of the platform, to which a file may add."""
        platform = self.count(None, None)
        self.assertGreater(platform, 2)
        self.assertEqual(platform, self.count("", ""))
        self.assertEqual(platform + 2, self.count(None, str(self.extra)))

    def test_own(self) -> None:
        """A file of one's own stands alone."""
        self.assertEqual(2, self.count(str(self.extra), str(self.extra)))

    def test_missing(self) -> None:
        """A file that is not there is told to whoever starts the server."""
        for files in ((None, "/nowhere"), ("/nowhere", None)):
            error = self.assertRaises(TrustError, trust_root, *files)
            self.assertEqual("/nowhere cannot be read: No such file or directory", str(error))

    def test_bare_machine(self) -> None:
        """Where the platform has none, there are Mozilla's."""
        self.patch(ssl, "get_default_verify_paths", lambda: SimpleNamespace(cafile=None))
        self.assertEqual(certifi.where(), bundle())


class DatabaseTests(TrustTestCase):
    """What libpq is told."""

    def root(self, extra: str | None = None, **settings: str) -> str | None:
        """The file that it is told."""
        return with_authorities(DatabaseSettings(**settings), extra).sslrootcert  # type: ignore[arg-type] # words

    def test_verified(self) -> None:
        """To verify it needs the platform's file, unless it was told another."""
        for mode in ("verify-ca", "verify-full"):
            self.assertEqual(bundle(), self.root(sslmode=mode))
            self.assertEqual("/mine", self.root("/nowhere", sslmode=mode, sslrootcert="/mine"))
            self.assertEqual(bundle(), self.root(sslmode=mode, sslrootcert="system"))

    def test_not_verified(self) -> None:
        """Else it is told what it was."""
        self.assertIsNone(self.root("/nowhere", sslmode="require"))
        self.assertEqual("/mine", self.root("/nowhere", sslmode="require", sslrootcert="/mine"))

    def test_extra(self) -> None:
        """More authorities come in the same file as the platform's."""
        root = self.root(str(self.extra), sslmode="verify-full")
        assert root is not None
        for path in (self.extra, Path(bundle())):
            self.assertIn(path.read_bytes(), Path(root).read_bytes())

    def test_missing(self) -> None:
        """A file that is not there, or holds none, is told to whoever starts the server."""
        empty = self.directory / "empty.pem"
        empty.write_text("")
        for path in ("/nowhere", str(empty)):
            error = self.assertRaises(TrustError, self.root, path, sslmode="verify-full")
            self.assertIn(path, str(error))
