"""Who must not see a status."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from flodgatt_tx.feeds import Feed
from flodgatt_tx.filtering import (
    NOBODY,
    Relations,
    Status,
    misfit,
    normalize_domain,
    read_status,
    relations_from_rows,
)
from flodgatt_tx.streams import Stream, open_stream
from flodgatt_tx.viewer import Viewer
from tests.properties import FEW

VIEWER = Viewer(1001, 1, frozenset({"read"}), None, 0)
STATUS = Status(
    author=50,
    mentions=NOBODY,
    domain="remote.example",
    local=False,
    language="en",
    local_only=False,
    judged=False,
)
PAYLOAD: dict[str, object] = {
    "id": "1",
    "account": {"id": "50", "username": "far", "acct": "far@remote.example"},
    "mentions": [],
    "language": "en",
}
PEOPLE = some.integers(1, 4)


def stream(kind: str = "public") -> Stream:
    """Open a stream."""
    return open_stream(kind, {"tag": "t"}, VIEWER)


class ReadStatusTests(SynchronousTestCase):
    """Of a status only a little is looked at."""

    def test_statuses(self) -> None:
        """Author, mentions, origin and language are read."""
        local = {"id": 60, "username": "loc", "acct": "loc"}
        for expected, more in (
            (STATUS, {}),
            (replace(STATUS, author=60, domain=None, local=True), {"account": local}),
            (
                replace(STATUS, domain="xn--bcher-kva.example"),
                {"account": {"id": "50", "username": "far", "acct": "far@Bücher.example"}},
            ),
            (
                replace(STATUS, mentions=frozenset({2, 3})),
                {"mentions": [{"id": "2"}, {"id": 3, "acct": "x"}, {"id": "2"}]},
            ),
            (replace(STATUS, language=None), {"language": None}),
            (replace(STATUS, language=None), {"language": ["en"]}),
            (replace(STATUS, local_only=True), {"local_only": True}),
            (STATUS, {"local_only": False}),
            (replace(STATUS, judged=True), {"filtered": []}),
        ):
            self.assertEqual(expected, read_status({**PAYLOAD, **more}), msg=repr(more))

    def test_unreadable(self) -> None:
        """Where author or mentions cannot be read, nobody can tell who must not see it."""
        account = {"id": "50", "username": "far", "acct": "far@remote.example"}
        accounts: list[object] = [
            *(None, "50", [], {}, {"id": "50"}),
            *({**account, "id": None}, {**account, "id": "x"}),
            *({**account, "acct": None}, {**account, "username": 5}),
        ]
        mentions: list[object] = [
            *(None, {}, "2", ["2"], [None], [{}]),
            [{"id": "2"}, {"id": "-2"}],
        ]
        unreadable: list[object] = [
            *(None, "109", 5, [], {}, {"account": account}),
            *({**PAYLOAD, "account": each} for each in accounts),
            *({**PAYLOAD, "mentions": each} for each in mentions),
        ]
        for payload in unreadable:
            self.assertEqual(None, read_status(payload), msg=repr(payload))


class SuitsTests(SynchronousTestCase):
    """Some statuses do not suit a stream or its viewer, whoever wrote them."""

    def test_languages(self) -> None:
        """Who chose languages sees those; who chose none sees all."""
        for expected, language, chosen in (
            (True, "en", None),
            (True, None, None),
            (True, "en", {"en", "is"}),
            (False, "de", {"en", "is"}),
            (False, None, {"en"}),
            (False, "en", set()),
        ):
            languages = None if chosen is None else frozenset(chosen)
            viewer = replace(VIEWER, languages=languages)
            status = replace(STATUS, language=language)
            suited = not misfit(status, stream(), viewer)
            self.assertEqual(expected, suited, msg=repr((language, chosen)))

    def test_closed_feeds(self) -> None:
        """A feed that is off carries nothing, but for those who may see closed feeds."""
        local_live = frozenset({(Feed.LIVE, True)})
        remote_topic = frozenset({(Feed.TOPIC, False)})
        for expected, closed, kind, local in (
            (False, local_live, "public", True),
            (False, local_live, "public:local", True),
            (True, local_live, "public", False),
            (True, local_live, "hashtag", True),
            (False, remote_topic, "hashtag", False),
            (True, remote_topic, "hashtag", True),
            (True, remote_topic, "public", False),
            (True, frozenset[tuple[Feed, bool]](), "public", True),
        ):
            status = replace(STATUS, local=local)
            case = repr((closed, kind, local))
            self.assertEqual(expected, not misfit(status, stream(kind), VIEWER, closed), msg=case)
            for permissions in (1 << 0, 1 << 20):
                viewer = replace(VIEWER, permissions=permissions)
                self.assertTrue(not misfit(status, stream(kind), viewer, closed), msg=case)

    def test_local_only(self) -> None:
        """A local-only status goes to the streams that allow it."""
        for expected, kind in (
            (False, "public"),
            (False, "public:remote"),
            (True, "public:local"),
            (True, "public:allow_local_only"),
            (True, "hashtag"),
        ):
            status = replace(STATUS, local_only=True)
            self.assertEqual(expected, not misfit(status, stream(kind), VIEWER), msg=kind)
            self.assertTrue(not misfit(STATUS, stream(kind), VIEWER), msg=kind)


class RelationsTests(SynchronousTestCase):
    """Blocks and mutes hide a status."""

    def test_hidden_from(self) -> None:
        """It is hidden by an aversion to its author or its mentions, and by the author's own."""
        relations = relations_from_rows(
            [
                (50, 2, False),  # 2 blocks or mutes the author
                (51, 3, False),  # 3 blocks or mutes somebody mentioned
                (50, 4, True),  # the author blocks 4
                (51, 5, True),  # somebody mentioned blocks 5
                (52, 6, False),  # 6 blocks somebody else
                (50, 2, False),
            ]
        )
        for expected, mentions in (({2, 4}, set()), ({2, 3, 4}, {51}), ({2, 3, 4, 6}, {51, 52})):
            status = replace(STATUS, mentions=frozenset(mentions))
            self.assertEqual(expected, relations.hidden_from(status), msg=repr(mentions))

    def test_nobody(self) -> None:
        """Where nothing is known of anybody, nothing is hidden."""
        self.assertEqual(NOBODY, Relations().hidden_from(STATUS))
        self.assertEqual(Relations(), relations_from_rows([]))

    @given(
        some.lists(some.tuples(PEOPLE, PEOPLE, some.booleans())), PEOPLE, some.frozensets(PEOPLE)
    )
    @FEW
    def test_row_by_row(
        self, rows: list[tuple[int, int, bool]], author: int, mentions: frozenset[int]
    ) -> None:
        """It is the same as looking at each row."""
        status = replace(STATUS, author=author, mentions=mentions)
        expected = {
            account
            for person, account, blocks in rows
            if person == author or (person in mentions and not blocks)
        }
        self.assertEqual(expected, relations_from_rows(rows).hidden_from(status))


class NormalizeDomainTests(SynchronousTestCase):
    """Domains are compared in one form."""

    def test_domains(self) -> None:
        """Capitals do not count, and an IDN is the same in Unicode and in ASCII."""
        for expected, domain in (
            ("remote.example", "remote.example"),
            ("remote.example", "Remote.EXAMPLE"),
            ("xn--bcher-kva.example", "bücher.example"),
            ("xn--bcher-kva.example", "BÜCHER.example"),
            ("xn--bcher-kva.example", "XN--bcher-kva.example"),
            ("xn--bcher-kva.example", "bu\u0308cher。example"),
            ("under_score.example", "Under_score.example"),
            ("", ""),
        ):
            self.assertEqual(expected, normalize_domain(domain), msg=domain)

    def test_impossible(self) -> None:
        """What DNS could not hold is only made lower case."""
        for expected, domain in (
            ("ü b", "Ü b"),
            (f"{'ü' * 64}.example", f"{'Ü' * 64}.example"),
            ("\ud800", "\ud800"),
            ("ü..x", "ü..x"),
        ):
            self.assertEqual(expected, normalize_domain(domain), msg=repr(domain))

    @given(some.text(max_size=12))
    @FEW
    def test_anything(self, domain: str) -> None:
        """Whatever a payload says is a domain, capitals or not, has a form to be compared in."""
        once = normalize_domain(domain)
        self.assertEqual(once, normalize_domain(once))
