"""Where PostgreSQL is, by Mastodon's variables."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.database_settings import DatabaseSettings, read
from flodgatt_tx.lookup import Layer, Lookup


def look(environment: str, **values: str) -> tuple[DatabaseSettings, Lookup]:
    """What these variables mean in *environment*, and what there is to say about them."""
    lookup = Lookup([Layer("environment", {"NODE_ENV": environment, **values})])
    return read(lookup, environment, "me"), lookup


def given(environment: str, **values: str) -> DatabaseSettings:
    """What these variables mean, which must hold no mistakes."""
    settings, lookup = look(environment, **values)
    assert not lookup.problems, lookup.problems
    return settings


def at(url: str, **values: str) -> DatabaseSettings:
    """What a DATABASE_URL means."""
    return given("production", DATABASE_URL=url, **values)


class VariableTests(SynchronousTestCase):
    """The `DB_*` variables."""

    def test_production(self) -> None:
        """Production has Mastodon's defaults, and of `PG*` only what Mastodon never names."""
        expected = DatabaseSettings(user="mastodon", database="mastodon_production")
        driver = {"PGHOST": "h", "PGUSER": "u", "PGPORT": "1", "PGDATABASE": "d"}
        self.assertEqual(expected, given("production"))
        self.assertEqual(expected, given("production", DB_HOST="", DB_PORT="", DB_NAME=""))
        self.assertEqual(expected, given("production", **driver))
        self.assertEqual("p", given("production", PGPASSWORD="p").password)

    def test_development(self) -> None:
        """Development leaves to the driver what is not named, but for the database."""
        expected = DatabaseSettings(user="me", database="mastodon_development")
        self.assertEqual(expected, given("development"))
        driver = {"PGHOST": "h", "PGUSER": "u", "PGPORT": "1", "PGDATABASE": "d"}
        expected = DatabaseSettings(user="u", database="mastodon_development", host="h", port=1)
        self.assertEqual(expected, given("development", **driver))
        nobody = read(Lookup([]), "development", None)
        self.assertEqual("", nobody.user)

    def test_all(self) -> None:
        """Every variable has its place."""
        settings = given(
            "production",
            DB_HOST="[::1]",
            DB_PORT="1",
            DB_USER="u",
            DB_PASS="p",
            DB_NAME="d",
            DB_POOL="5",
            DB_SSLMODE="verify-full",
            PGSSLROOTCERT="/ca",
        )
        expected = DatabaseSettings(
            user="u",
            password="p",
            database="d",
            host="::1",
            port=1,
            pool=5,
            sslmode="verify-full",
            sslrootcert="/ca",
        )
        self.assertEqual(expected, settings)

    def test_folder(self) -> None:
        """A folder is where the UNIX socket is."""
        self.assertEqual("/run/pg", given("production", DB_HOST="/run/pg").host)

    def test_other_environment(self) -> None:
        """Other environments need a DATABASE_URL."""
        _, lookup = look("test")
        (problem,) = lookup.problems
        for word in ("NODE_ENV", "DATABASE_URL", "'test'"):
            self.assertIn(word, problem)
        self.assertEqual("d", given("test", DATABASE_URL="postgres://h/d").database)

    def test_mistakes(self) -> None:
        """Numbers and modes are checked, and told what was given."""
        _, lookup = look("production", DB_PORT="x", DB_POOL="0", DB_SSLMODE="yes")
        for name, value in (("DB_PORT", "'x'"), ("DB_POOL", "'0'"), ("DB_SSLMODE", "'yes'")):
            (problem,) = [text for text in lookup.problems if text.startswith(name)]
            self.assertTrue(problem.endswith(f"not {value}"), problem)

    def test_mistake_of_the_driver(self) -> None:
        """A mistake is told by the name of the variable that holds it."""
        _, lookup = look("development", PGPORT="x")
        self.assertTrue(lookup.problems[0].startswith("PGPORT (environment): "))


class SslModeTests(SynchronousTestCase):
    """TLS means what libpq says."""

    def test_variables(self) -> None:
        """Without any there is no TLS; Node's no-verify is libpq's require."""
        modes = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
        table = [("", "disable"), ("no-verify", "require"), *((mode, mode) for mode in modes)]
        for text, expected in table:
            self.assertEqual(expected, given("production", DB_SSLMODE=text).sslmode, text)
            self.assertEqual(expected, given("production", PGSSLMODE=text).sslmode, text)
            self.assertEqual(expected, at(f"postgres://h/d?sslmode={text}").sslmode, text)

    def test_url(self) -> None:
        """sslmode wins over ssl; certificates without either mean verified TLS."""
        table = [
            ("ssl=true", "require"),
            ("ssl=1", "require"),
            ("ssl=0", "disable"),
            ("ssl=false&sslmode=verify-ca", "verify-ca"),
            ("sslrootcert=/ca", "verify-full"),
            ("sslcert=/c&sslkey=/k", "verify-full"),
            ("sslnegotiation=direct", "require"),
            ("sslmode=require&uselibpqcompat=true", "require"),
            ("", "prefer"),
        ]
        for query, expected in table:
            settings = at(f"postgres://h/d?{query}", PGSSLMODE="prefer", DB_SSLMODE="allow")
            self.assertEqual(expected, settings.sslmode, query)

    def test_warnings(self) -> None:
        """Encryption without verification makes a warning, and so does a needless file."""
        table = [
            ({"DB_SSLMODE": "require"}, "does not verify"),
            ({"DB_SSLMODE": "no-verify"}, "does not verify"),
            ({"DATABASE_URL": "postgres://h/d?ssl=true"}, "does not verify"),
            ({"PGSSLROOTCERT": "/ca"}, "is disable: PGSSLROOTCERT"),
        ]
        for values, expected in table:
            _, lookup = look("production", **values)
            (warning,) = lookup.warnings
            self.assertIn(expected, warning, repr(values))
        for mode in ("require", "verify-full"):
            _, lookup = look("production", DB_SSLMODE=mode, PGSSLROOTCERT="/ca")
            self.assertEqual([], lookup.warnings)


class UrlTests(SynchronousTestCase):
    """DATABASE_URL."""

    def test_urls(self) -> None:
        """All forms that Mastodon's own server takes are understood."""
        full = DatabaseSettings(user="u", password="p", database="d", host="h", port=5)
        folder = DatabaseSettings(user="me", database="db", host="/run/pg")
        table = [
            ("postgres://u:p@h:5/d", full),
            ("postgresql://u:p@h:5/d", full),
            ("postgres://x/d?user=u&password=p&host=h&port=5", full),
            ("postgres://h:5?user=u&password=p&dbname=d", full),
            ("postgres://%2Frun%2Fpg/db", folder),
            ("postgres:///db?host=/run/pg", folder),
            ("socket:/run/pg?db=db", folder),
            ("postgresql:///db", DatabaseSettings(user="me", database="db")),
            ("postgres://u@[::1]/a/b", DatabaseSettings(user="u", database="a/b", host="::1")),
            ("postgres://u:p%40%20x@h", DatabaseSettings("u", "p@ x", host="h")),
        ]
        for text, expected in table:
            self.assertEqual(expected, at(text), text)

    def test_missing_parts(self) -> None:
        """What the URL lacks is the driver's affair, but the password may be in DB_PASS."""
        driver = {
            "PGHOST": "h",
            "PGPORT": "5",
            "PGUSER": "u",
            "PGDATABASE": "d",
            "PGPASSWORD": "q",
        }
        expected = DatabaseSettings(user="u", password="p", database="d", host="h", port=5)
        self.assertEqual(expected, at("postgres://", DB_PASS="p", **driver))
        self.assertEqual("q", at("postgres://", **driver).password)
        self.assertEqual("x", at("postgres://u:x@h/d", DB_PASS="p", **driver).password)

    def test_extra(self) -> None:
        """What libpq knows is kept, the rest makes a warning with its names only."""
        query = "connect_timeout=3&keepalives_idle=5&pool=s3cret&application_name=a&options=-c+a"
        settings, lookup = look("production", DATABASE_URL=f"postgres://h/d?{query}")
        extra = {"connect_timeout": "3", "keepalives_idle": "5", "options": "-c a"}
        self.assertEqual(extra, dict(settings.extra))
        self.assertEqual(["no effect in DATABASE_URL: application_name, pool"], lookup.warnings)

    def test_wins(self) -> None:
        """With a URL the DB_* do not count, but for pool and password, and a warning says so."""
        values = {"DB_HOST": "x", "DB_PORT": "x", "DB_POOL": "3", "DB_SSLMODE": "x"}
        settings, lookup = look("production", DATABASE_URL="postgres://h/d", **values)
        self.assertEqual(DatabaseSettings("me", database="d", host="h", pool=3), settings)
        expected = "no effect, since DATABASE_URL is set: DB_HOST, DB_PORT, DB_SSLMODE"
        self.assertEqual(([expected], []), (lookup.warnings, lookup.problems))

    def test_mistakes(self) -> None:
        """An error names the part, and neither URL nor password."""
        table = [
            ("mysql://u:s3cret@h/d", "scheme"),
            ("u:s3cret@h/d", "scheme"),
            ("postgres://u:s3/cret@h/d", "%2F"),
            ("postgres://u:s3cret@h/d?port=x", "port"),
            ("postgres://u:s3cret@h/d?sslmode=s3cret", "sslmode"),
            ("postgres://u:s3cret@h/d?ssl=s3cret", "ssl"),
        ]
        for text, part in table:
            _, lookup = look("production", DATABASE_URL=text)
            (problem,) = lookup.problems
            self.assertTrue(problem.startswith("DATABASE_URL (environment): "), problem)
            self.assertIn(part, problem)
            self.assertNotIn("s3", problem)
