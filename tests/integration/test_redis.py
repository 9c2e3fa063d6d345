"""
What Redis, and through it Rails, sees of the daemon; and what becomes of clients without Redis.
"""

from __future__ import annotations

import atexit
import functools
from collections.abc import Mapping

from flodgatt_tx.demo import servers
from flodgatt_tx.demo.servers import DATABASE, Servers
from tests.integration.site import (
    Daemon,
    Person,
    Rails,
    Socket,
    VisitTestCase,
    eventually,
    new_database,
    shared_servers,
)

PASSWORD = "open sesame"
LIFETIME = 1080  # seconds, Mastodon's


@functools.cache
def guarded_redis() -> Servers:
    """
    Start a Redis with a password, a UNIX socket, and a user who may do what a daemon has to.

    It is not the one that other tests use, for here it is stopped.
    """
    options = ["--requirepass", PASSWORD, "--unixsocket", "redis.sock", "--unixsocketperm", "777"]
    rights = "on >shibboleth ~subscribed:* &timeline:* -@all +subscribe +unsubscribe +set +ping"
    options += ["--user", *f"streaming {rights}".split()]
    opened = servers.start(["redis"], redis_options=options)
    atexit.register(opened.stop)
    return opened


class PresenceTests(VisitTestCase):
    """The keys by which Rails knows who listens."""

    def assert_keys(
        self, expected: set[str], person: Person, *streams: Mapping[str, object]
    ) -> None:
        """Listen to *streams*, and fail unless these are the keys that there are then."""
        self.rails.redis("FLUSHALL")
        socket = self.websocket(person)
        for stream in streams:
            socket.say({"type": "subscribe", **stream})
        # A stream that needs no key comes last: when it is open, so are those before.
        socket.subscribe("hashtag", tag="last")
        self.rails.hears_of("timeline:hashtag:last", f"timeline:access_token:{person.token_id}")
        eventually(lambda: self.rails.redis("DBSIZE") >= len(expected), "the keys are written")
        self.assertEqual(expected, set(self.rails.redis("KEYS", "*")))

    def test_home(self) -> None:
        """The stream `user` wants home and notifications."""
        person = self.rails.person()
        keys = {f"subscribed:{person.home}", f"subscribed:{person.home}:notifications"}
        self.assert_keys(keys, person, {"stream": "user"})
        for key in keys:
            left = self.rails.redis("TTL", key)
            self.assertTrue(LIFETIME - 60 < left <= LIFETIME, f"{key} lives for {left} s")
            self.assertEqual("1", self.rails.redis("GET", key))

    def test_notifications(self) -> None:
        """The stream `user:notification` does not want home updates to be rendered."""
        person = self.rails.person()
        keys = {f"subscribed:{person.home}:notifications"}
        self.assert_keys(keys, person, {"stream": "user:notification"})

    def test_home_without_notifications(self) -> None:
        """A token without the scope for notifications wants none."""
        person = self.rails.person("read:statuses")
        self.assert_keys({f"subscribed:{person.home}"}, person, {"stream": "user"})

    def test_lists_and_conversations(self) -> None:
        """Lists and conversations have keys of their own."""
        person = self.rails.person()
        mine = self.rails.keep_list(person)
        self.assert_keys(
            {f"subscribed:timeline:list:{mine}", f"subscribed:timeline:direct:{person.account}"},
            person,
            {"stream": "list", "list": str(mine)},
            {"stream": "direct"},
        )

    def test_public(self) -> None:
        """Public streams and hashtags need no keys, and set none."""
        person = self.rails.person()
        self.assert_keys(set(), person, {"stream": "public"}, {"stream": "public:local:media"})


class ChannelTests(VisitTestCase):
    """What is subscribed, and for how long."""

    def test_shared(self) -> None:
        """However many listen to a channel, Redis sends each message once."""
        sockets = [self.websocket(self.rails.person(), stream="public:local") for _ in range(3)]
        self.sse("public/local", self.rails.person())
        self.rails.hears_of("timeline:public:local")
        self.assertEqual(1, self.rails.redis.subscribers("timeline:public:local"))
        eventually(self.all_listen, "all four listen")
        self.assertEqual(1, self.rails.publish("timeline:public:local", "delete", "1"))
        for socket in sockets:
            self.assertEqual("1", socket.hears()["payload"])

    def all_listen(self) -> bool:
        """Tell whether four listen to the local timeline."""
        return self.daemon.metric("connected_channels", channel="public:local") == 4

    def test_last_leaves(self) -> None:
        """A channel is subscribed until the last who listens has left, and no longer."""
        person = self.rails.person()
        first, second = (self.daemon.websocket(person.token, stream="user") for _ in range(2))
        eventually(
            lambda: self.daemon.metric("connected_channels", channel="user") == 2, "both listen"
        )
        mine = {f"timeline:access_token:{person.token_id}", person.system, person.home}
        mine.add(f"{person.home}:notifications")
        self.assertEqual(mine, self.rails.redis.channels())
        first.close()
        eventually(lambda: self.daemon.metric("connected_clients") == 1, "one has left")
        self.assertEqual(mine, self.rails.redis.channels())
        second.close()
        eventually(lambda: not self.rails.redis.channels(), "nothing is subscribed any more")


class RedisTestCase(VisitTestCase):
    """A test with a daemon of its own, which talks to Redis in a way of its own."""

    def start(self, **environment: str) -> Daemon:
        """Start a daemon whose Redis is the guarded one."""
        own = {**shared_servers().environment(), "REDIS_PORT": str(guarded_redis().redis_port)}
        daemon = Daemon({**own, **environment})
        self.addCleanup(daemon.stop)
        return daemon

    def guarded_rails(self, database: str = DATABASE) -> Rails:
        """Make the Rails that publishes there."""
        port = guarded_redis().redis_port
        rails = Rails(shared_servers(), database, redis_port=port, redis_password=PASSWORD)
        self.addCleanup(rails.redis.close)
        return rails

    def assert_serves(self, daemon: Daemon, rails: Rails) -> None:
        """Fail unless somebody who listens hears what Rails publishes because of that."""
        person = rails.person()
        socket = daemon.websocket(person.token, stream="user")
        self.addCleanup(socket.close)
        self.assert_hears(socket, rails, person)

    def assert_hears(self, socket: Socket, rails: Rails, person: Person) -> None:
        """Fail unless home updates come through."""
        key = f"{rails.prefix}subscribed:{person.home}"
        rails.hears_of(person.home)
        eventually(lambda: rails.redis("EXISTS", key), "Rails knows that somebody listens")
        rails.push(person.home, "update", {"id": "1"})
        self.assertEqual("update", socket.hears()["event"])


class GreetingTests(RedisTestCase):
    """Ways to Redis."""

    def test_password(self) -> None:
        """With a password."""
        self.assert_serves(self.start(REDIS_PASSWORD=PASSWORD), self.guarded_rails())

    def test_user(self) -> None:
        """As a user who may do nothing but what is needed."""
        daemon = self.start(REDIS_USER="streaming", REDIS_PASSWORD="shibboleth")
        self.assert_serves(daemon, self.guarded_rails())

    def test_unix_socket(self) -> None:
        """Over a UNIX socket, which a URL names, and with another database."""
        path = guarded_redis().directory / "redis.sock"
        daemon = self.start(REDIS_URL=f"unix://:{PASSWORD.replace(' ', '%20')}@{path}?db=5")
        rails = self.guarded_rails()
        rails.redis("SELECT", 5)
        self.assert_serves(daemon, rails)

    def test_wrong_password(self) -> None:
        """With a wrong password the log says so, again and again, and never the password."""
        daemon = self.start(REDIS_PASSWORD="open barley")
        eventually(lambda: daemon.log.count("Redis refused us: WRONGPASS") > 2, "the log says so")
        self.assertNotIn("barley", daemon.log)
        self.assertEqual(0, daemon.stop())


class NamespaceTests(RedisTestCase):
    """REDIS_NAMESPACE, which Mastodon honoured up to 4.3."""

    def test_old_database(self) -> None:
        """For an old Mastodon the prefix is before channels and keys."""
        database = new_database()
        rails = self.guarded_rails(database)
        rails.sql("ALTER TABLE settings ADD COLUMN thing_type varchar")
        rails.prefix = "cats:"
        self.assert_serves(
            self.start(REDIS_PASSWORD=PASSWORD, REDIS_NAMESPACE="cats", DB_NAME=database), rails
        )

    def test_new_database(self) -> None:
        """For a new one it is ignored, with a warning."""
        daemon = self.start(REDIS_PASSWORD=PASSWORD, REDIS_NAMESPACE="cats")
        self.assert_serves(daemon, self.guarded_rails())
        self.assertIn("REDIS_NAMESPACE is ignored", daemon.log)


class OutageTests(RedisTestCase):
    """Redis goes, and comes back having forgotten everything."""

    def setUp(self) -> None:
        """Let somebody listen."""
        super().setUp()
        self.own = self.start(REDIS_PASSWORD=PASSWORD)
        self.before = self.guarded_rails()
        self.guest = self.before.person()
        self.socket = self.own.websocket(self.guest.token, stream="user")
        self.addCleanup(self.socket.close)
        self.before.hears_of(self.guest.home)

    def restart(self) -> Rails:
        """Let Redis come back."""
        guarded_redis().start_server("redis")
        return self.guarded_rails()

    def test_comes_back(self) -> None:
        """Clients stay, and hear on; Rails knows again that they listen."""
        stream = self.own.sse("direct", self.guest.token)
        self.addCleanup(stream.close)
        channels = self.before.redis.channels()
        guarded_redis().stop_server("redis")
        rails = self.restart()
        self.assert_hears(self.socket, rails, self.guest)
        eventually(lambda: rails.redis.channels() == channels, "all channels are subscribed again")
        direct = f"timeline:direct:{self.guest.account}"
        eventually(lambda: rails.redis("EXISTS", f"subscribed:{direct}"), "its key is back")
        rails.push(direct, "conversation", {"id": "1"})
        self.assertEqual(("conversation", '{"id":"1"}'), stream.hears())
        self.own.is_well()

    def test_new_client_waits(self) -> None:
        """Who comes while Redis is away is served as soon as it is back."""
        guarded_redis().stop_server("redis")
        person = self.before.person()
        socket = self.own.websocket(person.token, stream="user")
        self.addCleanup(socket.close)
        self.assert_hears(socket, self.restart(), person)

    def test_missed_kill(self) -> None:
        """A token that was revoked meanwhile loses its connection, though nobody says `kill`."""
        guarded_redis().stop_server("redis")
        self.before.sql(
            "UPDATE oauth_access_tokens SET revoked_at = now() WHERE id = %s", self.guest.token_id
        )
        self.restart()
        self.assertEqual(1005, self.socket.close_code())
