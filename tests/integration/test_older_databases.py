"""
The tables of all the releases of Mastodon that are served, in a real PostgreSQL.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase, TestCase

from flodgatt_tx.database_settings import DatabaseSettings
from flodgatt_tx.demo.processes import POSTGRES_USER
from flodgatt_tx.edge.database import Pool
from flodgatt_tx.edge.mastodon import LOOK_AGAIN, MastodonDatabase
from flodgatt_tx.feeds import ALL_OPEN, Feed
from flodgatt_tx.keyword_filters import Filter
from tests.integration.older import reshape
from tests.integration.site import Daemon, Person, Rails, new_database, shared_servers
from tests.stage import status

HOUR = 3600
DISABLED = "--- disabled\n"


class DatabaseTestCase(TestCase):
    """A test with the database of a *release*, and somebody who asks it."""

    release = "4.7"

    def setUp(self) -> None:
        """Make the database."""
        self.database = new_database()
        self.rails = Rails(shared_servers(), self.database)
        self.addCleanup(self.rails.redis.close)
        self.rails.sql(reshape(self.release))
        settings = DatabaseSettings(
            user=POSTGRES_USER,
            database=self.database,
            host=shared_servers().host,
            port=shared_servers().postgres_port,
        )
        self.pool = Pool(reactor, settings)
        self.addCleanup(self.pool.stopService)
        self.now = 0.0
        self.mastodon = MastodonDatabase(self.pool, lambda: self.now)

    def token(self, age: int, expires_in: int | None) -> Person:
        """Let somebody sign in *age* seconds ago, with a token that lives for a while."""
        person = self.rails.person()
        self.rails.sql(
            "UPDATE oauth_access_tokens SET expires_in = %s,"
            " created_at = (now() AT TIME ZONE 'UTC') - %s * interval '1 second' WHERE id = %s",
            *(expires_in, age, person.token_id),
        )
        return person

    def account(self) -> int:
        """Make an account and return its id."""
        return self.rails.person().account

    def mute(self, account: int, target: int, seconds: int | None = None) -> None:
        """Let an account mute another, for so many seconds from now."""
        self.rails.sql(
            "INSERT INTO mutes (account_id, target_account_id) VALUES (%s, %s)", account, target
        )
        if seconds is not None:
            self.rails.sql(
                "UPDATE mutes SET expires_at ="
                " (now() AT TIME ZONE 'UTC') + %s * interval '1 second'"
                " WHERE account_id = %s AND target_account_id = %s",
                *(seconds, account, target),
            )

    def filter(self, account: int | None, *keywords: str, **columns: object) -> int:
        """Give an account a filter, and return the filter's id."""
        columns = {"account_id": account, "phrase": "spoilers", "context": ["home"], **columns}
        names, places = ", ".join(columns), ", ".join(["%s"] * len(columns))
        ((id_,),) = self.rails.sql(
            f"INSERT INTO custom_filters ({names}) VALUES ({places}) RETURNING id",
            *columns.values(),
        )
        for keyword in keywords:
            self.rails.sql(
                "INSERT INTO custom_filter_keywords (custom_filter_id, keyword) VALUES (%s, %s)",
                *(id_, keyword),
            )
        return int(id_)

    async def assert_good(self, *people: Person, among: list[Person]) -> None:
        """Fail unless the tokens of just these people are good, by their text and by their ids."""
        viewers = await self.mastodon.viewers([each.token for each in among])
        self.assertEqual({each.token for each in people}, set(viewers))
        again = await self.mastodon.viewers_again([each.token_id for each in among])
        self.assertEqual({each.token_id: viewers[each.token] for each in people}, dict(again))


if TYPE_CHECKING:
    _Base = DatabaseTestCase
else:
    _Base = object


class ReleaseContract(_Base):
    """What holds for every release."""

    keywords = True  # whether filters have any

    async def test_tokens(self) -> None:
        """A token is good unless it, its user or its account has come to an end."""
        plain, eternal = self.rails.person(), self.token(HOUR, None)
        fresh, expired = self.token(HOUR, HOUR + 60), self.token(HOUR, HOUR - 60)
        revoked, suspended = self.rails.person(), self.rails.person()
        disabled, unapproved = self.rails.person(disabled=True), self.rails.person(approved=False)
        nobodys = self.rails.person()
        for statement, id_ in (
            ("UPDATE oauth_access_tokens SET revoked_at = now() WHERE id = %s", revoked.token_id),
            ("UPDATE accounts SET suspended_at = now() WHERE id = %s", suspended.account),
            (
                "UPDATE oauth_access_tokens SET resource_owner_id = NULL WHERE id = %s",
                nobodys.token_id,
            ),
        ):
            self.rails.sql(statement, id_)
        everybody = [plain, eternal, fresh, expired, revoked, suspended, disabled, nobodys]
        # Who is not approved yet may listen, as with Mastodon's own server.
        good = [plain, eternal, fresh, unapproved]
        await self.assert_good(*good, among=[*everybody, unapproved])

    async def test_viewers(self) -> None:
        """What is known of a token's owner."""
        plain = self.rails.person("read write", chosen_languages=["de", "en"])
        scopeless, empty = self.rails.person(None), self.rails.person("", chosen_languages=[])
        viewers = await self.mastodon.viewers([plain.token, scopeless.token, empty.token])
        viewer = viewers[plain.token]
        self.assertEqual((plain.token_id, plain.account), (viewer.token_id, viewer.account_id))
        self.assertEqual(frozenset({"read", "write"}), viewer.scopes)
        self.assertEqual(frozenset({"de", "en"}), viewer.languages)
        self.assertEqual(0, viewer.permissions)
        self.assertEqual(not self.keywords, viewer.before_4)
        self.assertEqual(frozenset(), viewers[scopeless.token].scopes)
        self.assertIsNone(viewers[scopeless.token].languages)
        self.assertEqual(frozenset(), viewers[empty.token].scopes)
        self.assertEqual(frozenset(), viewers[empty.token].languages)

    async def test_lists(self) -> None:
        """A list is its owner's."""
        owner = self.rails.person()
        list_id = self.rails.keep_list(owner)
        self.assertEqual({list_id: owner.account}, await self.mastodon.list_owners([list_id]))

    async def test_relations(self) -> None:
        """Blocks count both ways, and mutes as long as they last."""
        author, mentioned = self.account(), self.account()
        blocks, blocked, mutes, muted, blocks_other = (self.account() for _ in range(5))
        for pair in ((blocks, author), (author, blocked), (blocks_other, mentioned)):
            self.rails.sql(
                "INSERT INTO blocks (account_id, target_account_id) VALUES (%s, %s)", *pair
            )
        self.mute(mutes, author)
        self.mute(author, muted)
        averse = {author: frozenset({blocks, mutes}), mentioned: frozenset({blocks_other})}
        relations = await self.mastodon.relations([author, mentioned], [author])
        self.assertEqual(averse, dict(relations.averse))
        self.assertEqual({author: frozenset({blocked})}, dict(relations.shunned))

    async def test_domain_blocks(self) -> None:
        """Domains come in the form in which they are compared."""
        account, other = self.account(), self.account()
        for row in (
            *((account, each) for each in ("plain.example", "CAPITAL.example")),
            *((account, each) for each in ("xn--bcher-kva.example", "Bücher.example")),
        ):
            self.block_domain(*row)
        self.assertEqual(
            {account: frozenset({"plain.example", "capital.example", "xn--bcher-kva.example"})},
            dict(await self.mastodon.domain_blocks([account, other])),
        )

    def block_domain(self, account: int | None, domain: str | None) -> None:
        """Let an account block a domain."""
        self.rails.sql(
            "INSERT INTO account_domain_blocks (account_id, domain) VALUES (%s, %s)",
            *(account, domain),
        )

    async def test_settings(self) -> None:
        """Feeds are open unless the site has closed them."""
        self.assertEqual(ALL_OPEN, await self.mastodon.closed_feeds())
        for variable, value in (
            ("local_live_feed_access", DISABLED),
            ("remote_topic_feed_access", "--- authenticated\n"),
            ("local_topic_feed_access", None),
        ):
            self.rails.sql("INSERT INTO settings (var, value) VALUES (%s, %s)", variable, value)
        self.assertEqual({(Feed.LIVE, True)}, await self.mastodon.closed_feeds())

    async def test_filters(self) -> None:
        """Filters come with their keywords, unless they have expired."""
        account, other = self.account(), self.account()
        first = self.filter(account, "one", "two", expires_at="2099-12-31 23:59:59.5")
        self.filter(account, "gone", expires_at="2001-01-01 00:00:00")
        self.filter(account)  # without keywords it can match nothing
        self.assertEqual(
            {
                account: (
                    Filter(
                        id=str(first),
                        title="spoilers",
                        context=("home",),
                        expires_at="2099-12-31T23:59:59.500Z",
                        expires=4102444799.5,
                        action="warn",
                        keywords=(("one", True), ("two", True)),
                    ),
                )
            },
            await self.mastodon.filters([account, other]),
        )


class ExpiringMutesContract(_Base):
    """Since 3.3 mutes may expire."""

    async def test_mutes(self) -> None:
        """A mute that has expired does not count, though its row is still there."""
        author, for_ever, still, no_more = (self.account() for _ in range(4))
        self.mute(for_ever, author)
        self.mute(still, author, 60)
        self.mute(no_more, author, -60)
        relations = await self.mastodon.relations([author], [author])
        self.assertEqual({author: frozenset({for_ever, still})}, dict(relations.averse))


class RolesContract(_Base):
    """Since 4.0 users may have roles."""

    async def test_permissions(self) -> None:
        """Permissions are those of the user's own role, all 64 bits of them."""
        self.rails.sql("INSERT INTO user_roles (id, permissions) VALUES (7, %s)", 1 << 62 | 1 << 20)
        person = self.rails.person(role_id=7)
        viewers = await self.mastodon.viewers([person.token])
        self.assertEqual(1 << 62 | 1 << 20, viewers[person.token].permissions)


class OfThingsContract(ReleaseContract):
    """Up to 4.3 settings could belong to users, and blocks and filters to nobody."""

    async def test_settings_of_users(self) -> None:
        """A user's setting is not the site's."""
        self.rails.sql(
            "INSERT INTO settings (thing_type, thing_id, var, value) VALUES ('User', 1, %s, %s)",
            *("local_live_feed_access", DISABLED),
        )
        self.assertEqual(ALL_OPEN, await self.mastodon.closed_feeds())

    async def test_domain_blocks_of_nobody(self) -> None:
        """A block without a domain, or without an account, blocks nothing."""
        account, other = self.account(), self.account()
        for row in ((account, None), (None, "bad.example"), (other, None), (other, "b.example")):
            self.block_domain(*row)
        self.assertEqual(
            {other: frozenset({"b.example"})},
            dict(await self.mastodon.domain_blocks([account, other])),
        )

    async def test_namespace(self) -> None:
        """REDIS_NAMESPACE counts."""
        self.assertTrue(await self.mastodon.namespaced())


class Before4Contract(OfThingsContract):
    """Before 4.0 clients did their own filtering."""

    keywords = False

    async def test_filters(self) -> None:
        """Nothing is said about filters, whoever has one."""
        account = self.account()
        self.filter(account, whole_word=False)
        self.assertIsNone(await self.mastodon.filters([account]))


class Mastodon47Tests(ReleaseContract, RolesContract, ExpiringMutesContract, DatabaseTestCase):
    """Mastodon 4.7."""

    release = "4.7"

    async def test_deletion_requested(self) -> None:
        """Whose account is about to be deleted may not listen any more."""
        leaving, staying = self.rails.person(), self.rails.person()
        self.rails.sql(
            "UPDATE accounts SET requested_deletion_at = now() WHERE id = %s", leaving.account
        )
        await self.assert_good(staying, among=[leaving, staying])

    async def test_namespace(self) -> None:
        """REDIS_NAMESPACE is of no importance."""
        self.assertFalse(await self.mastodon.namespaced())


class Mastodon46Tests(ReleaseContract, RolesContract, ExpiringMutesContract, DatabaseTestCase):
    """Mastodon 4.4 to 4.6."""

    release = "4.6"

    async def test_actions(self) -> None:
        """Filters warn, hide or blur; of another action nothing is said."""
        account = self.account()
        for action in (0, 1, 2, 3):
            self.filter(account, "word", action=action)
        filters = await self.mastodon.filters([account]) or {}
        expected = ["warn", "hide", "blur", None]
        self.assertEqual(expected, [each.action for each in filters[account]])


class Mastodon43Tests(OfThingsContract, RolesContract, ExpiringMutesContract, DatabaseTestCase):
    """Mastodon 4.3."""

    release = "4.3"


class Mastodon42Tests(OfThingsContract, RolesContract, ExpiringMutesContract, DatabaseTestCase):
    """Mastodon 4.0 to 4.2."""

    release = "4.2"


class Mastodon35Tests(Before4Contract, ExpiringMutesContract, DatabaseTestCase):
    """Mastodon 3.3 to 3.5."""

    release = "3.5"


class Mastodon29Tests(Before4Contract, DatabaseTestCase):
    """Mastodon 2.9 to 3.2."""

    release = "2.9"


class TimeZoneTests(DatabaseTestCase):
    """All times are UTC, in whatever time zone PostgreSQL believes to be."""

    async def far_from_home(self, whose: str) -> None:
        """Move the database, or those who come to it, to New York."""
        self.rails.sql(f"ALTER {whose} SET timezone TO 'America/New_York'")
        self.assertEqual([("America/New_York",)], await self.pool.query("SHOW timezone", {}))

    async def assert_utc(self) -> None:
        """Fail unless nothing lives an hour too long, or too short."""
        good = [self.token(age, HOUR) for age in (60, HOUR - 60, -10 * HOUR)]
        gone = [self.token(age, HOUR) for age in (HOUR + 60, 3 * HOUR, 10 * HOUR)]
        await self.assert_good(*good, among=[*good, *gone])
        author, still, no_more = (self.account() for _ in range(3))
        self.mute(still, author, 60)
        self.mute(no_more, author, -60)
        relations = await self.mastodon.relations([author], [])
        self.assertEqual({author: frozenset({still})}, dict(relations.averse))
        await self.assert_filters_utc()

    async def assert_filters_utc(self) -> None:
        """Do so for filters."""
        account = self.account()
        for seconds in (-60, 60):
            ((moment,),) = self.rails.sql(
                "SELECT (now() AT TIME ZONE 'UTC') + %s * interval '1 second'", seconds
            )
            self.filter(account, str(seconds), expires_at=moment)
        # The night in which New York puts its clocks forward has no such time.
        self.filter(account, "night", expires_at="2099-03-08 02:30:00.007")
        filters = (await self.mastodon.filters([account]) or {})[account]
        self.assertEqual([(("60", True),), (("night", True),)], [f.keywords for f in filters])
        self.assertEqual("2099-03-08T02:30:00.007Z", filters[1].expires_at)
        self.assertEqual(4076620200.007, filters[1].expires)

    async def test_database(self) -> None:
        """The database's time zone changes nothing."""
        await self.far_from_home(f"DATABASE {self.database}")
        await self.assert_utc()

    async def test_role(self) -> None:
        """Nor does that of the role."""
        await self.far_from_home(f"ROLE {POSTGRES_USER} IN DATABASE {self.database}")
        await self.assert_utc()


class UpgradeTests(DatabaseTestCase):
    """Mastodon's tables change while we are connected, and every question has its answer."""

    release = "3.5"

    async def test_to_4(self) -> None:
        """Filters and roles come into being, and are noticed a minute later."""
        person = self.rails.person()
        self.assertIsNone(await self.mastodon.filters([person.account]))
        await self.assert_good(person, among=[person])
        self.rails.sql(
            "CREATE TABLE user_roles (id bigserial PRIMARY KEY, permissions bigint DEFAULT 0);"
            " ALTER TABLE users ADD role_id bigint;"
            " ALTER TABLE custom_filters ADD action integer NOT NULL DEFAULT 0;"
            " CREATE TABLE custom_filter_keywords"
            " (id bigserial PRIMARY KEY, custom_filter_id bigint, keyword text, whole_word boolean)"
        )
        await self.assert_good(person, among=[person])
        self.now = LOOK_AGAIN
        self.assertEqual({}, await self.mastodon.filters([person.account]))
        viewers = await self.mastodon.viewers([person.token])
        self.assertFalse(viewers[person.token].before_4)


class ChangeTests(DatabaseTestCase):
    """The same, with newer ones."""

    async def everything(self, person: Person) -> None:
        """Ask every question; fail unless it is answered."""
        await self.assert_good(person, among=[person])
        self.assertEqual({}, await self.mastodon.list_owners([1]))
        self.assertEqual({}, dict((await self.mastodon.relations([1], [1])).averse))
        self.assertEqual({}, dict(await self.mastodon.domain_blocks([1])))
        self.assertEqual(ALL_OPEN, await self.mastodon.closed_feeds())
        await self.mastodon.filters([1])

    async def test_changes(self) -> None:
        """Columns and tables go and come, in whatever order."""
        person = self.rails.person()
        await self.everything(person)
        for change in (
            "ALTER TABLE accounts DROP requested_deletion_at",
            "ALTER TABLE accounts ADD requested_deletion_at timestamp(6)",
            "ALTER TABLE users DROP role_id",
            "ALTER TABLE users ADD role_id bigint",
            "ALTER TABLE users DROP role_id; DROP TABLE user_roles",
            "ALTER TABLE settings ADD thing_type varchar",
            "ALTER TABLE settings DROP thing_type",
            "ALTER TABLE mutes DROP expires_at",
            "ALTER TABLE mutes ADD expires_at timestamp",
            "DROP TABLE custom_filter_keywords",
        ):
            self.rails.sql(change)
            await self.everything(person)

    async def test_deletion_requested(self) -> None:
        """Accounts can be about to be deleted a minute after 4.7 has come."""
        self.rails.sql("ALTER TABLE accounts DROP requested_deletion_at")
        person = self.rails.person()
        await self.assert_good(person, among=[person])
        self.rails.sql(
            "ALTER TABLE accounts ADD requested_deletion_at timestamp(6);"
            " UPDATE accounts SET requested_deletion_at = now()"
        )
        await self.assert_good(person, among=[person])
        self.now = LOOK_AGAIN
        await self.assert_good(among=[person])

    async def test_thing_type(self) -> None:
        """Settings are the site's alone from the moment on that 4.4 is there."""
        self.rails.sql("ALTER TABLE settings ADD thing_type varchar")
        self.rails.sql(
            "INSERT INTO settings (var, value) VALUES ('local_live_feed_access', %s)", DISABLED
        )
        self.assertEqual({(Feed.LIVE, True)}, await self.mastodon.closed_feeds())
        self.rails.sql("ALTER TABLE settings DROP thing_type")
        self.assertEqual({(Feed.LIVE, True)}, await self.mastodon.closed_feeds())

    async def test_keywords_dropped(self) -> None:
        """Where filters have lost their keywords, the very next answer says so."""
        account = self.account()
        self.filter(account, "word")
        self.assertEqual([account], list(await self.mastodon.filters([account]) or {}))
        self.rails.sql("DROP TABLE custom_filter_keywords")
        self.assertIsNone(await self.mastodon.filters([account]))


class DaemonBefore4Tests(SynchronousTestCase):
    """The whole server with the database of a Mastodon 3.5."""

    def setUp(self) -> None:
        """Start it."""
        database = new_database()
        self.rails = Rails(shared_servers(), database)
        self.addCleanup(self.rails.redis.close)
        self.rails.sql(reshape("3.5"))
        self.daemon = Daemon(shared_servers().environment(database))
        self.addCleanup(self.daemon.stop)

    def test_filtered(self) -> None:
        """Statuses on public streams are sent as they were published, without filter results."""
        person = self.rails.person()
        self.rails.sql(
            "INSERT INTO custom_filters (account_id, phrase) VALUES (%s, 'hello')", person.account
        )
        events = self.daemon.sse("public", person.token)
        self.addCleanup(events.close)
        socket = self.daemon.websocket(person.token, stream="public:remote")
        self.addCleanup(socket.close)
        self.rails.hears_of("timeline:public", "timeline:public:remote")
        published = status("7", content="<p>hello</p>")
        self.rails.post(published)
        self.assertEqual(published, json.loads(events.hears()[1]))
        self.assertEqual(published, json.loads(socket.hears()["payload"]))
        self.assertNotIn("Traceback", self.daemon.log)

    def test_notifications(self) -> None:
        """Notifications are found on the channel of the home timeline, and nothing else is."""
        person = self.rails.person()
        socket = self.daemon.websocket(person.token, stream="user:notification")
        self.addCleanup(socket.close)
        self.rails.hears_of(person.home, f"{person.home}:notifications")
        for event in ("update", "notification", "delete", "notification"):
            self.rails.publish(person.home, event, {"id": event})
        self.rails.publish(f"{person.home}:notifications", "notification", {"id": "3.5"})
        heard = [json.loads(socket.hears()["payload"])["id"] for _ in range(3)]
        self.assertEqual(["notification", "notification", "3.5"], heard)
        key = f"subscribed:{person.home}"
        self.assertEqual(1, self.rails.redis("EXISTS", f"{key}:notifications"))
        self.assertEqual(0, self.rails.redis("EXISTS", key))

    def test_home(self) -> None:
        """Who may not read notifications gets the home timeline without them."""
        shy = self.rails.person("read:statuses")
        bold = self.rails.sign_in(shy, "read")
        sockets = [self.daemon.websocket(each.token, stream="user") for each in (shy, bold)]
        for each in sockets:
            self.addCleanup(each.close)
        self.rails.hears_of(shy.home)
        # So that both hear it: each answer to a subscription comes before any to this.
        for each in sockets:
            each.subscribe("nowhere")
            self.assertIn("error", each.hears())
        self.rails.publish(shy.home, "notification", {"id": "1"})
        self.rails.publish(shy.home, "update", {"id": "2"})
        self.assertEqual(["update"], [sockets[0].hears()["event"]])
        self.assertEqual(["notification", "update"], [sockets[1].hears()["event"] for _ in "12"])

    def test_hashtags(self) -> None:
        """Hashtags keep their accents."""
        person = self.rails.person()
        socket = self.daemon.websocket(person.token, stream="hashtag", tag="CAFÉS")
        self.addCleanup(socket.close)
        self.rails.hears_of("timeline:hashtag:cafés")
        self.rails.publish("timeline:hashtag:cafés", "delete", "9")
        self.assertEqual(["hashtag", "CAFÉS"], socket.hears()["stream"])
