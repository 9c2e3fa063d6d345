"""Where Redis is, by Mastodon's variables."""

from __future__ import annotations

from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.lookup import OPTION, Layer, Lookup
from flodgatt_tx.redis_settings import RedisSettings, read


def given(**values: str) -> RedisSettings:
    """The settings of an environment in which these variables are set, without mistakes."""
    lookup = Lookup([Layer("environment", values)])
    settings = read(lookup)
    assert not lookup.problems, lookup.problems
    return settings


def problems(**values: str) -> list[str]:
    """The mistakes in these variables."""
    lookup = Lookup([Layer("environment", values)])
    read(lookup)
    return lookup.problems


def warnings(**values: str) -> list[str]:
    """The warnings about these variables."""
    lookup = Lookup([Layer("environment", values)])
    read(lookup)
    return lookup.warnings


class PlainTests(SynchronousTestCase):
    """Host and port."""

    def test_variables(self) -> None:
        """Each variable has its place; what is empty is as if it were not set."""
        table = [
            ({}, RedisSettings()),
            ({"REDIS_HOST": ""}, RedisSettings(host="localhost")),
            ({"REDIS_HOST": "[::1]", "REDIS_PORT": "1"}, RedisSettings(host="::1", port=1)),
            ({"REDIS_DB": "3", "REDIS_USER": ""}, RedisSettings(db=3)),
            (
                {"REDIS_USER": "u", "REDIS_PASSWORD": "p"},
                RedisSettings(username="u", password="p"),
            ),
            ({"REDIS_PASSWORD": "", "REDIS_PORT": "", "REDIS_DB": ""}, RedisSettings()),
        ]
        for values, expected in table:
            self.assertEqual(expected, given(**values), repr(values))

    def test_mistakes(self) -> None:
        """Numbers must be numbers."""
        found = problems(REDIS_PORT="0", REDIS_DB="one")
        self.assertEqual(["REDIS_PORT", "REDIS_DB"], [text.split()[0] for text in found])

    def test_namespace(self) -> None:
        """A namespace is forced only as an option, and does not depend on the rest."""
        namespaced = RedisSettings(namespace="ns")
        self.assertEqual(namespaced, given(REDIS_NAMESPACE="ns"))
        self.assertEqual("ns", given(REDIS_NAMESPACE="ns", REDIS_URL="redis://h").namespace)
        self.assertIsNone(given(REDIS_NAMESPACE="").namespace)
        for value, forced in (("ns", True), ("", False)):
            settings = read(Lookup([Layer(OPTION, {"REDIS_NAMESPACE": value})]))
            self.assertEqual(forced, settings.namespace_forced)


class UrlTests(SynchronousTestCase):
    """REDIS_URL."""

    def test_urls(self) -> None:
        """All forms that Mastodon's own server takes are understood."""
        table = [
            ("redis://h", RedisSettings(host="h")),
            ("redis://h:1/2", RedisSettings(host="h", port=1, db=2)),
            ("redis://h/2/?db=3", RedisSettings(host="h", db=2)),
            ("redis://h?db=3", RedisSettings(host="h", db=3)),
            ("redis://:p%40@h", RedisSettings(host="h", password="p@")),
            ("redis://u:p@[::1]", RedisSettings(host="::1", username="u", password="p")),
            ("redis://h?username=u&password=p", RedisSettings("h", username="u", password="p")),
            ("rediss://h", RedisSettings(host="h", tls=True)),
            ("redis:///1", RedisSettings(host="localhost", db=1)),
            ("h:7", RedisSettings(host="h", port=7)),
            ("unix:///run/r.sock", RedisSettings(socket="/run/r.sock")),
            ("unix://run/r.sock", RedisSettings(socket="/run/r.sock")),
            ("unix://:p@/r.sock?db=2", RedisSettings(socket="/r.sock", db=2, password="p")),
            ("/run/r.sock?db=2", RedisSettings(socket="/run/r.sock", db=2)),
        ]
        for text, expected in table:
            self.assertEqual(expected, given(REDIS_URL=text), text)

    def test_mistakes(self) -> None:
        """An error names the part, and neither URL nor password."""
        table = [
            ("http://h", "scheme"),
            ("redis://h/one", "database"),
            ("redis://h/99999999999999999999999", "database"),
            ("redis://:s3cret@h:x", "port"),
            ("unix://", "socket"),
        ]
        for text, part in table:
            (problem,) = problems(REDIS_URL=text)
            self.assertTrue(problem.startswith("REDIS_URL (environment): "), problem)
            self.assertIn(part, problem)
            self.assertNotIn("s3cret", problem)

    def test_wins(self) -> None:
        """With a URL everything else is ignored, mistakes included, and a warning says so."""
        values = {"REDIS_PORT": "x", "REDIS_SENTINELS": "s", "REDIS_SENTINEL_MASTER": "m"}
        self.assertEqual(RedisSettings(host="h"), given(REDIS_URL="redis://h", **values))
        self.assertEqual(
            [f"no effect, since REDIS_URL is set: {', '.join(values)}"],
            warnings(REDIS_URL="redis://h", **values),
        )

    def test_unknown_parameters(self) -> None:
        """Unknown parameters make a warning that does not name them."""
        (warning,) = warnings(REDIS_URL="redis://h?family=6")
        self.assertNotIn("family", warning)


class SentinelTests(SynchronousTestCase):
    """Sentinel, if both variables are set."""

    def test_sentinels(self) -> None:
        """Entries without port have REDIS_SENTINEL_PORT; credentials are Redis's own."""
        settings = given(
            REDIS_SENTINELS="a, b:1,[::1]:2,",
            REDIS_SENTINEL_MASTER="m",
            REDIS_SENTINEL_PORT="9",
            REDIS_USER="u",
            REDIS_PASSWORD="p",
            REDIS_DB="2",
            REDIS_HOST="ignored",
        )
        expected = RedisSettings(
            db=2,
            username="u",
            password="p",
            sentinels=(("a", 9), ("b", 1), ("::1", 2)),
            sentinel_master="m",
            sentinel_username="u",
            sentinel_password="p",
        )
        self.assertEqual(expected, settings)

    def test_credentials(self) -> None:
        """Sentinel's own credentials count, even if they are empty."""
        both = {"REDIS_SENTINELS": "a", "REDIS_SENTINEL_MASTER": "m", "REDIS_PASSWORD": "p"}
        for value, expected in (("s", "s"), ("", None)):
            settings = given(REDIS_SENTINEL_PASSWORD=value, REDIS_SENTINEL_USERNAME=value, **both)
            self.assertEqual(expected, settings.sentinel_password)
            self.assertEqual(expected, settings.sentinel_username)
            self.assertEqual("p", settings.password)
        self.assertEqual((("a", 26379),), given(**both).sentinels)

    def test_mistakes(self) -> None:
        """Wrong ports, and lists without any host, are refused."""
        for text, expected in (("a:x", "port"), (" , ", "host"), ("a:1:2", "port")):
            (problem,) = problems(REDIS_SENTINELS=text, REDIS_SENTINEL_MASTER="m")
            self.assertIn(expected, problem)
            self.assertIn(repr(text), problem)

    def test_half(self) -> None:
        """One of the two variables alone makes a warning, and host and port count."""
        for name in ("REDIS_SENTINELS", "REDIS_SENTINEL_MASTER"):
            self.assertEqual(RedisSettings(), given(**{name: "x"}))
            self.assertIn("only together", warnings(**{name: "x"})[0])


class TlsTests(SynchronousTestCase):
    """TLS, and the files that it needs."""

    FILES: ClassVar[dict[str, str]] = {
        "FLODGATT_REDIS_CA": "/ca",
        "FLODGATT_REDIS_CERT": "/cert",
        "FLODGATT_REDIS_KEY": "/key",
    }

    def test_files(self) -> None:
        """A URL says by its scheme that there is TLS, anything else by a variable."""
        expected = ("/ca", "/cert", "/key")
        for values in (
            {"REDIS_URL": "rediss://h"},
            {"FLODGATT_REDIS_TLS": "true"},
            {
                "FLODGATT_REDIS_TLS": "true",
                "REDIS_SENTINELS": "a",
                "REDIS_SENTINEL_MASTER": "m",
            },
        ):
            settings = given(**values, **self.FILES)
            self.assertTrue(settings.tls)
            self.assertEqual(
                expected, (settings.tls_ca, settings.tls_certificate, settings.tls_key)
            )

    def test_without(self) -> None:
        """Without TLS they have no effect, and a warning says so."""
        for values in ({}, {"REDIS_URL": "redis://h"}, {"FLODGATT_REDIS_TLS": "false"}):
            self.assertIsNone(given(**values, **self.FILES).tls_ca)
            self.assertIn(
                f"no effect, since Redis is reached without TLS: {', '.join(self.FILES)}",
                warnings(**values, **self.FILES),
            )

    def test_url_decides(self) -> None:
        """With a URL the variable has no effect."""
        values = {"REDIS_URL": "redis://h", "FLODGATT_REDIS_TLS": "true"}
        self.assertFalse(given(**values).tls)
        self.assertEqual(
            ["no effect, since REDIS_URL is set: FLODGATT_REDIS_TLS"], warnings(**values)
        )

    def test_mistakes(self) -> None:
        """The variable is true or false, and a key goes with a certificate."""
        (problem,) = problems(FLODGATT_REDIS_TLS="maybe")
        self.assertIn("true, false", problem)
        (problem,) = problems(FLODGATT_REDIS_TLS="true", FLODGATT_REDIS_KEY="/key")
        self.assertIn("FLODGATT_REDIS_CERT", problem)
