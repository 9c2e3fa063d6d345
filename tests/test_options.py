"""The command line."""

from __future__ import annotations

from pathlib import Path

from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx._version import __version__
from flodgatt_tx.edge.options import Options
from flodgatt_tx.settings import VARIABLES, Layer


class OptionsTests(SynchronousTestCase):
    """Options, environment and dotenv file become settings."""

    def setUp(self) -> None:
        """Make an empty directory."""
        self.directory = Path(self.mktemp())
        self.directory.mkdir()

    def write(self, name: str, content: str) -> str:
        """Write a file into the directory, and return its name."""
        self.directory.joinpath(name).write_text(content)
        return name

    def parsed(self, *arguments: str, **environ: str) -> Options:
        """The options after parsing *arguments* in that environment."""
        options = Options(environ, self.directory)
        options.parseOptions(arguments)
        return options

    def refused(self, *arguments: str, **environ: str) -> list[str]:
        """The lines with which *arguments* are refused."""
        options = Options(environ, self.directory)
        error = self.assertRaises(UsageError, options.parseOptions, arguments)
        return str(error).splitlines()

    def test_nothing(self) -> None:
        """Without anything there are defaults."""
        settings = self.parsed(USER="me").settings
        self.assertEqual(("127.0.0.1", 4000, ()), (settings.bind, settings.port, settings.listen))
        self.assertEqual("me", settings.database.user)

    def test_precedence(self) -> None:
        """Options win over the environment, which wins over the file."""
        self.write(".env", "PORT=3\nBIND=::3\nDB_POOL=3")
        settings = self.parsed("--port", "1", PORT="2", BIND="::2").settings
        self.assertEqual((1, "::2", 3), (settings.port, settings.bind, settings.database.pool))
        names = ("PORT", "BIND", "DB_POOL", "DB_PORT")
        origins = [settings.origins[name] for name in names]
        self.assertEqual(["option", "environment", ".env", "default"], origins)

    def test_every_variable(self) -> None:
        """Every variable with an option can be given as that option, secrets as files."""
        for variable in VARIABLES:
            if variable.flag:
                value = self.write("secret", "1\n") if variable.secret else "1"
                flag = f"--{variable.flag}"
                options = Options({}, self.directory)
                options.parseOptions(["--demo", flag if variable.switch else f"{flag}={value}"])
                self.assertEqual(value, str(options[variable.flag]))
                self.assertIn(variable.name, options.getUsage())

    def test_switch(self) -> None:
        """A switch is off until it is given, or its variable is true."""
        self.assertFalse(self.parsed().settings.status)
        self.assertTrue(self.parsed("--status").settings.status)
        self.assertTrue(self.parsed(FLODGATT_STATUS="true").settings.status)
        self.assertFalse(self.parsed(FLODGATT_STATUS="false").settings.status)
        (line,) = self.refused(FLODGATT_STATUS="maybe")
        self.assertIn("FLODGATT_STATUS (environment): expected one of true, false", line)

    def test_secrets(self) -> None:
        """Secrets are read from files, and never taken from the command line."""
        self.write("pass", "geheim\n")
        settings = self.parsed("--db-pass-file=pass", DB_PASS="other").settings
        self.assertEqual("geheim", settings.database.password)
        self.assertEqual("option", settings.origins["DB_PASS"])

    def test_mistaken_secret(self) -> None:
        """Who gives a secret itself, for which options may be abbreviated, sees it nowhere."""
        (line,) = self.refused("--db-pass", "geheim")
        self.assertTrue(line.startswith("--db-pass-file: cannot read that file: "), line)
        self.assertNotIn("geheim", line)

    def test_node_env(self) -> None:
        """The environment may be an option, too, and chooses the file."""
        self.write(".env.production", "PORT=2")
        settings = self.parsed("--node-env=production", NODE_ENV="development").settings
        self.assertEqual(2, settings.port)
        self.assertEqual("mastodon_production", settings.database.database)

    def test_env_file(self) -> None:
        """Another file can be named."""
        self.write("other", "PORT=5")
        self.assertEqual(5, self.parsed("--env-file", "other").settings.port)

    def test_listen(self) -> None:
        """Endpoints may be repeated, and keep their order."""
        options = self.parsed("--listen", "tcp:2", "--listen=unix:/s")
        self.assertEqual(("tcp:2", "unix:/s"), options.settings.listen)
        self.assertEqual((), self.parsed().settings.listen)

    def test_namespace(self) -> None:
        """A namespace that is an option is forced, one from the environment is not."""
        self.assertTrue(self.parsed("--redis-namespace=ns").settings.redis.namespace_forced)
        self.assertFalse(self.parsed(REDIS_NAMESPACE="ns").settings.redis.namespace_forced)

    def test_all_mistakes(self) -> None:
        """Unreadable files and wrong values are told together, one per line."""
        lines = self.refused(
            "--db-pass-file=none", "--env-file=nothing", "--port=x", REDIS_PORT="y"
        )
        beginnings = ("--db-pass-file: ", "--env-file: ", "PORT (option): ", "REDIS_PORT (env")
        self.assertEqual(len(beginnings), len(lines), lines)
        for beginning, line in zip(beginnings, lines, strict=True):
            self.assertTrue(line.startswith(beginning), line)

    def test_check(self) -> None:
        """Flags are there to be asked for."""
        self.assertEqual(1, self.parsed("--check")["check"])
        self.assertEqual(0, self.parsed()["check"])

    def test_demo(self) -> None:
        """With --demo settings are loaded later, and what the demonstration adds wins."""
        options = self.parsed("--demo", "--port=1", DATABASE_URL="nonsense")
        self.assertFalse(hasattr(options, "settings"))
        self.assertRaises(UsageError, options.load)
        options.extra = Layer("demo", {"DATABASE_URL": "postgres://h/demo"})
        settings = options.load()
        self.assertEqual(("demo", 1), (settings.database.database, settings.port))
        self.assertEqual("demo", settings.origins["DATABASE_URL"])

    def test_version(self) -> None:
        """--version prints ours, not Twisted's, and ends."""
        printed: list[str] = []
        options = Options({}, self.directory, printed.append)
        self.assertRaises(SystemExit, options.parseOptions, ["--version"])
        self.assertEqual([f"flodgatt_tx {__version__}"], printed)

    def test_world(self) -> None:
        """Without arguments it is the process's own environment and directory that count."""
        self.assertIn("bind", Options())
