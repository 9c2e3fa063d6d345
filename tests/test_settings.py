"""What is set, from where it comes, and what is said about mistakes."""

from __future__ import annotations

from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.settings import AUTO, VARIABLES, Layer, Settings, SettingsError, described, load


def given(**values: str) -> Settings:
    """The settings of an environment in which these variables are set."""
    return load([Layer("environment", values)])


class VariableTests(SynchronousTestCase):
    """The table of variables is in order."""

    def test_unique(self) -> None:
        """No variable and no option occurs twice, and each is explained."""
        for column in ("name", "flag"):
            found = [value for row in VARIABLES if (value := getattr(row, column))]
            self.assertEqual(len(set(found)), len(found))
        self.assertEqual([], [row.name for row in VARIABLES if not row.help])

    def test_secrets_are_files(self) -> None:
        """Everything whose name speaks of a password or URL is secret, and its option a file."""
        for row in VARIABLES:
            secret = any(word in row.name for word in ("PASS", "URL"))
            self.assertEqual(secret, row.secret, row.name)
            if row.option:
                self.assertEqual(secret, str(row.flag).endswith("-file"), row.name)

    def test_documented_defaults(self) -> None:
        """The defaults that the table states as plain values are the ones that count."""
        documented = {row.name: row.default for row in VARIABLES}
        for environment in ("production", "development"):
            for name, shown, origin in described(given(NODE_ENV=environment)):
                prose = ";" in documented[name] or " " in documented[name]
                if origin == "default" and not prose and not documented[name].isupper():
                    self.assertEqual(documented[name], shown, name)


class LoadTests(SynchronousTestCase):
    """Variables become settings as Mastodon's own server reads them."""

    def test_listening(self) -> None:
        """SOCKET wins over BIND and PORT; brackets go; an empty BIND means all addresses."""
        table: list[tuple[dict[str, str], tuple[str | None, str, int]]] = [
            ({}, (None, "127.0.0.1", 4000)),
            ({"BIND": "0.0.0.0", "PORT": "80"}, (None, "0.0.0.0", 80)),
            ({"BIND": "[::1]", "PORT": " 4001 "}, (None, "::1", 4001)),
            ({"BIND": "", "PORT": ""}, (None, "", 4000)),
            ({"SOCKET": ""}, (None, "127.0.0.1", 4000)),
            ({"SOCKET": "/run/s", "PORT": "nonsense"}, ("/run/s", "127.0.0.1", 4000)),
            ({"PORT": "0"}, (None, "127.0.0.1", 0)),
        ]
        for values, expected in table:
            settings = given(**values)
            found = (settings.socket, settings.bind, settings.port)
            self.assertEqual(expected, found, repr(values))

    def test_bad_numbers(self) -> None:
        """What is not a number within its range is refused, whatever int() thinks of it."""
        for text in ("x", "65536", "-1", "1_0", "٣", "4000x", "0x10", "9" * 20, "0" * 5000, "1.5"):
            error = self.assertRaises(SettingsError, given, PORT=text)
            expected = f"PORT (environment): expected a number from 0 to 65535, not {text!r}"
            self.assertEqual((expected,), error.problems)

    def test_port_as_path(self) -> None:
        """Who still gives a path as PORT is told about SOCKET."""
        (problem,) = self.assertRaises(SettingsError, given, PORT="/run/s").problems
        self.assertIn("SOCKET", problem)
        self.assertIn("'/run/s'", problem)

    def test_log_level(self) -> None:
        """Unknown levels are the default, which is debug in development."""
        table = [
            ("development", "", "debug"),
            ("development", "nonsense", "debug"),
            ("production", "", "info"),
            ("production", "silly", "info"),
            ("production", "WARN", "info"),
            ("production", "trace", "trace"),
            ("development", "silent", "silent"),
        ]
        for environment, level, expected in table:
            settings = given(NODE_ENV=environment, LOG_LEVEL=level)
            self.assertEqual(expected, settings.log_level, repr((environment, level)))
            self.assertIn(expected, [value for _, value, _ in described(settings)])

    def test_trusted_proxies(self) -> None:
        """Networks may be named, and are separated by commas, spaces or both."""
        private = "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7"
        table = [
            ("", f"127.0.0.0/8 ::1/128 {private}"),
            (" ", ""),
            ("loopback", "127.0.0.0/8 ::1/128"),
            ("linklocal, 192.0.2.7", "169.254.0.0/16 fe80::/10 192.0.2.7/32"),
            ("192.0.2.7/24\t2001:db8::1,", "192.0.2.0/24 2001:db8::1/128"),
            ("10.1.2.3/255.0.0.0", "10.0.0.0/8"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("::ffff:192.0.2.0/120, ::ffff:0:0/96", "192.0.2.0/24 0.0.0.0/0"),
            ("::/0, 2001:db8::/112", "::/0 2001:db8::/112"),
        ]
        for text, expected in table:
            networks = tuple(ip_network(word) for word in expected.split())
            self.assertEqual(networks, given(TRUSTED_PROXY_IP=text).trusted_proxies, text)

    def test_bad_proxies(self) -> None:
        """Other names and numbers are refused."""
        for text in ("everyone", "1.2.3", "10.0.0.0/33", "loopback;uniquelocal"):
            (problem,) = self.assertRaises(SettingsError, given, TRUSTED_PROXY_IP=text).problems
            self.assertTrue(problem.startswith("TRUSTED_PROXY_IP (environment): "), problem)
            self.assertIn(repr(text), problem)

    def test_others(self) -> None:
        """Endpoints and extra authorities are passed on; NODE_ENV is development if empty."""
        settings = load(
            [Layer("file", {"NODE_EXTRA_CA_CERTS": "/ca.pem", "NODE_ENV": ""})], ["tcp:1"]
        )
        self.assertEqual(("tcp:1",), settings.listen)
        self.assertEqual("/ca.pem", settings.extra_ca_certs)
        self.assertEqual("development", settings.environment)
        self.assertIsNone(given().extra_ca_certs)

    def test_workers(self) -> None:
        """One process serves, or as many as are set, or one for each core."""
        for text, expected in (("", None), ("auto", AUTO), ("AUTO", AUTO), ("3", 3)):
            self.assertEqual(expected, given(FLODGATT_WORKERS=text).workers)
        for text in ("0", "257", "many"):
            self.assertRaises(SettingsError, given, FLODGATT_WORKERS=text)

    def test_drain_seconds(self) -> None:
        """Going down takes eight seconds at most, or what is set."""
        self.assertEqual(8, given().drain_seconds)
        self.assertEqual(25, given(FLODGATT_DRAIN_SECONDS="25").drain_seconds)
        with self.assertRaises(SettingsError):
            given(FLODGATT_DRAIN_SECONDS="0")

    def test_domain_blocks_age(self) -> None:
        """How old blocked domains may be is a number of seconds, half a minute by itself."""
        self.assertEqual(30, given().domain_blocks_age)
        self.assertEqual(5, given(FLODGATT_DOMAIN_BLOCKS_AGE="5").domain_blocks_age)
        with self.assertRaises(SettingsError):
            given(FLODGATT_DOMAIN_BLOCKS_AGE="0")

    def test_layers(self) -> None:
        """The first layer that has a variable decides, even if the value there is empty."""
        layers = [
            Layer("option", {"PORT": "1"}),
            Layer("environment", {"PORT": "2", "BIND": "::", "SOCKET": ""}),
            Layer(".env", {"PORT": "3", "BIND": "::1", "SOCKET": "/s", "DB_POOL": "4"}),
        ]
        settings = load(layers)
        self.assertEqual((None, "::", 1), (settings.socket, settings.bind, settings.port))
        self.assertEqual("option", settings.origins["PORT"])
        self.assertEqual("environment", settings.origins["BIND"])
        self.assertEqual(".env", settings.origins["DB_POOL"])
        self.assertEqual("default", settings.origins["LOG_LEVEL"])

    def test_all_mistakes(self) -> None:
        """All mistakes are told at once, with no secret among them."""
        values = {
            "NODE_ENV": "staging",
            "PORT": "x",
            "DB_POOL": "0",
            "REDIS_PORT": "y",
            "REDIS_PASSWORD": "geheim",
            "DB_PASS": "geheim",
        }
        error = self.assertRaises(SettingsError, given, **values)
        names = [problem.split()[0] for problem in error.problems]
        self.assertEqual(["PORT", "DB_POOL", "NODE_ENV", "REDIS_PORT"], names)
        self.assertEqual("\n".join(error.problems), str(error))
        self.assertNotIn("geheim", str(error))


class DescribedTests(SynchronousTestCase):
    """What is logged at the start says everything but secrets."""

    def test_secrets(self) -> None:
        """Neither the description nor any repr holds a secret."""
        settings = given(
            DATABASE_URL="postgres://me:geheim@h/d?sslpassword=geheim",
            REDIS_URL="rediss://:geheim@r:1/2?password=geheim",
            REDIS_SENTINEL_PASSWORD="geheim",
            DB_PASS="geheim",
            PGPASSWORD="geheim",
        )
        self.assertNotIn("geheim", repr(settings) + repr(described(settings)))
        shown = {name: value for name, value, _ in described(settings)}
        self.assertEqual("postgres://me:***@h/d?sslpassword=***", shown["DATABASE_URL"])
        self.assertEqual("rediss://:***@r:1/2?password=***", shown["REDIS_URL"])
        self.assertNotIn("geheim", repr(Layer("environment", {"DB_PASS": "geheim"})))

    def test_hidden(self) -> None:
        """A secret that is set is shown as stars, one that is not as nothing."""
        rows = described(given(REDIS_PASSWORD="geheim"))
        self.assertIn(("REDIS_PASSWORD", "***", "environment"), rows)
        self.assertIn(("DB_PASS", "", "default"), rows)

    def test_only_what_counts(self) -> None:
        """What has no effect is not listed but warned of."""
        settings = given(SOCKET="/s", PORT="1", BIND="::")
        names = [name for name, _, _ in described(settings)]
        self.assertNotIn("PORT", names)
        self.assertEqual(("no effect, since SOCKET is set: BIND, PORT",), settings.warnings)

    def test_order(self) -> None:
        """The order is the table's."""
        order = [row.name for row in VARIABLES]
        names = [name for name, _, _ in described(given())]
        self.assertEqual(sorted(names, key=order.index), names)
