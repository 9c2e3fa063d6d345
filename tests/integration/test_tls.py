"""
TLS to a real Redis and a real PostgreSQL, with certificates good and bad.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from flodgatt_tx.demo import servers
from flodgatt_tx.demo.processes import free_port
from flodgatt_tx.demo.servers import DATABASE, Servers
from flodgatt_tx.demo.site import SCHEMA
from tests.certificates import Authority
from tests.integration.fleet import RIGHTS, Node, connect, speaks_tls
from tests.integration.site import Daemon, Rails, eventually, run_twistd, shared_servers

STRANGE = "its certificate is signed by no authority that is trusted"


class Papers:
    """A folder with an authority, a stranger, and what they have signed."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="flodgatt-papers-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        # Servers run as somebody else if we are root.
        self.folder.chmod(0o755)
        self.authority = Authority(self.folder)
        self.stranger = Authority(self.folder, "stranger")


@functools.cache
def papers() -> Papers:
    """Make those that all tests here share."""
    return Papers()


class TlsTestCase(SynchronousTestCase):
    """A daemon, and `--check`."""

    def environment(self) -> dict[str, str]:
        """Write down where everything is."""
        return shared_servers().environment()

    def start(self, **variables: str) -> Daemon:
        """Start a daemon."""
        daemon = Daemon({**self.environment(), **variables})
        self.addCleanup(daemon.stop)
        return daemon

    def check(self, **variables: str) -> str:
        """Run `--check`; return what it complains of."""
        done = run_twistd(
            *("-n", "--pidfile=", "flodgatt", "--check"),
            environment={**self.environment(), **variables},
        )
        self.assertNotIn("Traceback", done.stdout + done.stderr)
        self.assertEqual(bool(done.stderr), bool(done.returncode))
        return done.stderr

    def assert_serves(self, daemon: Daemon, rails: Rails) -> None:
        """Fail unless somebody who listens hears what is published."""
        person = rails.person()
        socket = daemon.websocket(person.token, stream="user")
        self.addCleanup(socket.close)
        rails.hears_of(person.home)
        eventually(lambda: rails.redis("EXISTS", f"subscribed:{person.home}"), "the key is there")
        rails.push(person.home, "delete", "1")
        self.assertEqual("1", socket.hears()["payload"])
        daemon.is_well()


class RedisTests(TlsTestCase):
    """Redis over TLS."""

    def setUp(self) -> None:
        """Find a redis-server that can do that."""
        if not speaks_tls():
            raise SkipTest("this redis-server was built without TLS")
        self.folder = Path(tempfile.mkdtemp(prefix="flodgatt-test-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.authority = papers().authority
        self.files = {"FLODGATT_REDIS_CA": str(self.authority.path)}

    def redis(self, *hosts: str, days: int = 10, strange: bool = False, clients: str = "no") -> str:
        """Start a Redis with a certificate for *hosts*; return its URL for `streaming`."""
        authority = papers().stranger if strange else self.authority
        certificate, key = authority.sign("redis", *hosts, days=days)
        port = free_port()
        lines = f"""
            bind 127.0.0.1
            port 0
            tls-port {port}
            tls-cert-file {certificate}
            tls-key-file {key}
            tls-ca-cert-file {self.authority.path}
            tls-auth-clients {clients}
            dir {self.folder}
            save ""
            user default off
            user rails on >sesame ~* &* +@all
            user streaming on >shibboleth {RIGHTS}
        """
        text = "".join(f"{line.strip()}\n" for line in lines.splitlines())
        self.node = Node(self.folder / "redis.conf", port, text)
        self.addCleanup(self.node.kill)
        eventually(lambda: "eady to accept" in self.node.log, "Redis is up")
        return f"rediss://streaming:shibboleth@{hosts[0] if hosts else '127.0.0.1'}:{port}"

    def rails(self) -> Rails:
        """Make the Rails that publishes there."""
        rails = Rails(shared_servers())
        rails.redis.close()
        rails.redis = connect(self.node.port, "rails", "sesame", self.authority)
        self.addCleanup(rails.redis.close)
        return rails

    def test_address(self) -> None:
        """By its address, with an authority of our own."""
        url = self.redis("127.0.0.1")
        self.assertEqual("", self.check(REDIS_URL=url, **self.files))
        self.assert_serves(self.start(REDIS_URL=url, **self.files), self.rails())

    def test_name(self) -> None:
        """By its name, with an authority that is trusted beside the system's."""
        url = self.redis("localhost", "127.0.0.1")
        extra = {"NODE_EXTRA_CA_CERTS": str(self.authority.path)}
        self.assert_serves(self.start(REDIS_URL=url, **extra), self.rails())

    def test_without_url(self) -> None:
        """By host and port."""
        self.redis("127.0.0.1")
        variables = {
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(self.node.port),
            "REDIS_USER": "streaming",
            "REDIS_PASSWORD": "shibboleth",
            "FLODGATT_REDIS_TLS": "true",
        }
        self.assertEqual("", self.check(**variables, **self.files))

    def test_client(self) -> None:
        """A Redis that wants a certificate gets ours, and refuses who has none."""
        url = self.redis("127.0.0.1", clients="yes")
        self.assertIn("certificate required", self.check(REDIS_URL=url, **self.files))
        certificate, key = map(str, self.authority.sign("streaming"))
        self.files |= {"FLODGATT_REDIS_CERT": certificate, "FLODGATT_REDIS_KEY": key}
        self.assert_serves(self.start(REDIS_URL=url, **self.files), self.rails())

    def assert_refused(self, url: str, expected: str, **files: str) -> None:
        """Fail unless both the check and the log say why, and the password was told to nobody."""
        place = url.rpartition("@")[2]
        self.assertEqual(
            f"Redis at {place} cannot be reached over TLS: {expected}\n",
            self.check(REDIS_URL=url, **files),
        )
        daemon = self.start(REDIS_URL=url, **files)
        daemon.logs(f"TLS with Redis has failed: {expected}")
        daemon.is_well()
        self.assertNotIn("shibboleth", daemon.log)

    def test_expired(self) -> None:
        """A certificate that has expired."""
        self.assert_refused(
            self.redis("127.0.0.1", days=-1), "its certificate has expired", **self.files
        )

    def test_other_name(self) -> None:
        """One for somebody else."""
        url = self.redis("localhost", "127.0.0.2").replace("localhost", "127.0.0.1")
        self.assert_refused(url, "its certificate is not for 127.0.0.1", **self.files)

    def test_no_name(self) -> None:
        """One for nobody."""
        self.assert_refused(self.redis(), "its certificate is not for 127.0.0.1", **self.files)

    def test_stranger(self) -> None:
        """One of somebody who is not trusted; or nobody else than the system's are."""
        self.assert_refused(self.redis("127.0.0.1", strange=True), STRANGE, **self.files)
        self.node.kill()
        self.assertIn(STRANGE, self.check(REDIS_URL=self.redis("127.0.0.1")))

    def test_no_tls(self) -> None:
        """A Redis that speaks no TLS."""
        port = shared_servers().redis_port
        complaint = self.check(REDIS_URL=f"rediss://127.0.0.1:{port}")
        self.assertIn(f"Redis at 127.0.0.1:{port}", complaint)

    def test_no_file(self) -> None:
        """A file that is not there ends the start with one line."""
        done = run_twistd(
            *("-n", "--pidfile=", "flodgatt"),
            environment={
                **self.environment(),
                "REDIS_URL": "rediss://127.0.0.1",
                "FLODGATT_REDIS_CA": "/nowhere.pem",
            },
        )
        self.assertEqual(1, done.returncode)
        expected = "flodgatt: /nowhere.pem cannot be read: No such file or directory\n"
        self.assertEqual(expected, done.stderr)


@functools.cache
def secure_postgres() -> Servers:
    """Start a PostgreSQL that speaks TLS, and knows a user by its certificate."""
    opened = servers.start(["postgres"])
    atexit.register(opened.stop)
    opened.create_database()
    opened.load(SCHEMA)
    opened.sql("CREATE ROLE card LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO card")
    data = opened.directory / "postgres"
    rules = data / "pg_hba.conf"
    rules.write_text(f"hostssl all card 127.0.0.1/32 cert\n{rules.read_text()}")
    shutil.copy(papers().authority.path, data / "clients.pem")
    return opened


class PostgresTests(TlsTestCase):
    """PostgreSQL over TLS, which is libpq's."""

    def setUp(self) -> None:
        """Find a PostgreSQL."""
        self.servers = secure_postgres()
        self.root = str(papers().authority.path)

    def environment(self) -> dict[str, str]:
        return {
            **shared_servers().environment(),
            "DB_PORT": str(self.servers.postgres_port),
            "DB_NAME": DATABASE,
        }

    def show(self, *hosts: str, days: int = 10, strange: bool = False) -> None:
        """Let it show a certificate for *hosts*."""
        data = self.servers.directory / "postgres"
        owner = data.stat()
        authority = papers().stranger if strange else papers().authority
        for source, name in zip(
            authority.sign("postgres", *hosts, days=days), ("server.crt", "server.key"), strict=True
        ):
            path = data / name
            shutil.copy(source, path)
            os.chown(path, owner.st_uid, owner.st_gid)
            path.chmod(0o600)
        settings = "ssl = on\nssl_ca_file = 'clients.pem'\n"
        (data / "postgresql.auto.conf").write_text(settings)
        self.servers.stop_server("postgres")
        self.servers.start_server("postgres")

    def test_verified(self) -> None:
        """The authority comes from a file, or stands beside the system's."""
        self.show("127.0.0.1", "localhost")
        for mode in ("verify-ca", "verify-full"):
            for root in ("PGSSLROOTCERT", "NODE_EXTRA_CA_CERTS"):
                for host in ("127.0.0.1", "localhost"):
                    variables = {"DB_SSLMODE": mode, root: self.root, "DB_HOST": host}
                    self.assertEqual("", self.check(**variables), variables)

    def test_daemon(self) -> None:
        """The daemon serves, as somebody whom PostgreSQL knows by a certificate."""
        self.show("127.0.0.1")
        certificate, key = papers().authority.sign("card")
        key.chmod(0o600)
        port = self.servers.postgres_port
        url = (
            f"postgres://card@127.0.0.1:{port}/{DATABASE}"
            f"?sslmode=verify-full&sslrootcert={self.root}"
        )
        self.assertIn("PostgreSQL: ", self.check(DATABASE_URL=url))
        daemon = self.start(DATABASE_URL=f"{url}&sslcert={certificate}&sslkey={key}")
        rails = Rails(self.servers, redis_port=shared_servers().redis_port)
        self.addCleanup(rails.redis.close)
        self.assert_serves(daemon, rails)
        encrypted = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
        self.assertIn((True,), self.servers.sql(f"{encrypted} WHERE usename = 'card'"))

    def assert_refused(self, expected: str, **variables: str) -> None:
        """Fail unless both the check and the log say why."""
        complaint = self.check(DB_SSLMODE="verify-full", **variables)
        self.assertIn(expected, complaint)
        self.assertEqual(1, len(complaint.splitlines()), complaint)
        daemon = self.start(DB_SSLMODE="verify-full", **variables)
        daemon.logs("PostgreSQL does not answer: ")
        daemon.logs(expected)
        daemon.is_well()

    def test_expired(self) -> None:
        """A certificate that has expired."""
        self.show("127.0.0.1", days=-1)
        self.assert_refused("its certificate has expired, or", PGSSLROOTCERT=self.root)

    def test_stranger(self) -> None:
        """One of somebody who is not trusted; or nobody else than the system's are."""
        self.show("127.0.0.1", strange=True)
        expected = "is signed by no authority that is trusted"
        self.assert_refused(expected, PGSSLROOTCERT=self.root)
        self.assertIn(expected, self.check(DB_SSLMODE="verify-ca"))

    def test_other_name(self) -> None:
        """One for somebody else; `verify-ca` does not mind."""
        self.show("localhost")
        self.assert_refused('does not match host name "127.0.0.1"', PGSSLROOTCERT=self.root)
        self.assertEqual("", self.check(DB_SSLMODE="verify-ca", PGSSLROOTCERT=self.root))

    def test_no_file(self) -> None:
        """A file that is not there."""
        self.show("127.0.0.1")
        expected = 'root certificate file "/nowhere.pem" does not exist'
        self.assert_refused(expected, PGSSLROOTCERT="/nowhere.pem")
        complaint = self.check(DB_SSLMODE="verify-full", NODE_EXTRA_CA_CERTS="/nowhere.pem")
        expected = "PostgreSQL: /nowhere.pem cannot be read: No such file or directory\n"
        self.assertEqual(expected, complaint)
