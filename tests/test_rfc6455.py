"""
RFC 6455, case by case, through the way that every connection takes into the server.

Each row of the tables is a test. What a client says after its handshake is said twice: in one
segment, and in segments of a byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

from flodgatt_tx.edge.websocket import CLOSE_TIMEOUT, LARGEST_MESSAGE
from tests.stage import StageTestCase, Visitor
from tests.wire import (
    ACCEPT,
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TARGET,
    TEXT,
    Frame,
    closing,
    frame,
    head,
    read_frames,
)

NO_CODE = 1005


def pieces(data: bytes, *cuts: int) -> list[bytes]:
    """Write a text message in fragments that are cut at these places."""
    bounds = [0, *cuts, len(data)]
    parts = [data[start:end] for start, end in pairwise(bounds)]
    return [
        frame(CONT if number else TEXT, part, fin=number == len(parts) - 1)
        for number, part in enumerate(parts)
    ]


SUBSCRIBE = b'{"type":"subscribe","stream":"user"}'
# One, two, three and four bytes for a character.
GREEK = '{"type":"subscribe","stream":"hashtag","tag":"xé日𝒳"}'.encode()
CAT = b'{"type":"subscribe","stream":"hashtag","tag":"cat"}'
FULL = SUBSCRIBE.ljust(LARGEST_MESSAGE)
HALF = FULL[: LARGEST_MESSAGE // 2]


class Case(NamedTuple):
    """
    What a client says, and what comes of it.

    *pongs* come first. *code* is None if the connection stays; *subscribed* is a channel that
    is subscribed afterwards, or empty for none but the client's own.
    """

    name: str
    said: bytes
    code: int | None = None
    pongs: tuple[bytes, ...] = ()
    subscribed: str = ""


USER, TAG, CATS = "timeline:1", "timeline:hashtag:xe日x", "timeline:hashtag:cat"


def taken(name: str, said: bytes, channel: str = USER, *pongs: bytes) -> Case:
    """A command is understood."""
    return Case(name, said, None, pongs, channel)


def stays(name: str, said: bytes, *pongs: bytes) -> Case:
    """The connection stays, and nothing else comes of it."""
    return Case(name, said, None, pongs)


def closes(name: str, said: bytes, code: int, *pongs: bytes) -> Case:
    """The connection is closed, and what is said behind that does not count."""
    return Case(name, said + frame(TEXT, SUBSCRIBE) + frame(PING, b"late"), code, pongs)


def _masking() -> Iterator[Case]:
    """Section 5.1: what a client sends is masked."""
    yield taken("masked", frame(TEXT, SUBSCRIBE))
    yield taken("masked_with_zeros", frame(TEXT, SUBSCRIBE, mask=bytes(4)))
    both = frame(PING, b"a", mask=b"1234") + frame(PING, b"b", mask=b"\xff\0\xff\0")
    yield stays("each_mask_for_itself", both, b"a", b"b")
    for opcode in (TEXT, BINARY, PING, PONG, CLOSE):
        yield closes(f"unmasked_{opcode.name.lower()}", frame(opcode, b"", mask=None), 1002)
    yield closes("unmasked_command", frame(TEXT, SUBSCRIBE, mask=None), 1002)
    unmasked = frame(TEXT, CAT[:9], fin=False) + frame(CONT, CAT[9:], mask=None)
    yield closes("unmasked_continuation", unmasked, 1002)


def _headers() -> Iterator[Case]:
    """Section 5.2: bits and opcodes that have no meaning, and lengths."""
    for bits in range(1, 8):
        yield closes(f"reserved_bits_{bits:03b}", frame(TEXT, SUBSCRIBE, reserved=bits), 1002)
    for opcode in (PING, PONG, CLOSE):
        said = frame(opcode, b"", reserved=4)
        yield closes(f"reserved_bit_on_{opcode.name.lower()}", said, 1002)
    begun = frame(TEXT, CAT[:9], fin=False)
    continued = begun + frame(CONT, CAT[9:], reserved=4)
    yield closes("reserved_bit_on_continuation", continued, 1002)
    for number in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        yield closes(f"reserved_opcode_{number}", frame(number, b""), 1002)
    yield closes("reserved_opcode_with_data", frame(3, SUBSCRIBE), 1002)
    yield closes("reserved_opcode_within_message", begun + frame(3, b"x"), 1002)
    for form, size in ((126, 0), (126, 125), (127, 0), (127, 125), (127, 126), (127, 65535)):
        said = frame(TEXT, SUBSCRIBE.ljust(size)[:size], form=form)
        yield closes(f"length_{size}_in_form_{form}", said, 1002)
    for size in (125, 126, 65535, LARGEST_MESSAGE):
        yield taken(f"length_{size}", frame(TEXT, SUBSCRIBE.ljust(size)))
    for size in (1 << 63, (1 << 64) - 1):
        yield closes(f"length_{size:x}", frame(TEXT, b"", size=size), 1002)


def _limits() -> Iterator[Case]:
    """Section 10.4: what is too large, in one frame or in many."""
    for size in (LARGEST_MESSAGE + 1, 1 << 32, (1 << 63) - 1):
        # Said by the length alone: nobody waits for what would follow.
        yield Case(f"frame_of_{size}", frame(TEXT, b"", size=size), 1009)
    full = [frame(TEXT, HALF, fin=False), frame(CONT, HALF, fin=False), frame(CONT, b"")]
    whole = HALF + FULL[len(HALF) :]
    fitting = frame(TEXT, HALF, fin=False) + frame(CONT, whole[len(HALF) :])
    yield taken("message_of_64k_in_fragments", fitting)
    yield taken("pings_do_not_count", frame(PING, b"x" * 125) + fitting, USER, b"x" * 125)
    much = b"".join(full[:2]) + frame(CONT, b"x")
    yield Case("message_of_more_in_fragments", much, 1009)
    yield Case("binary_of_more", frame(BINARY, b"", size=LARGEST_MESSAGE + 1), 1009)


def _fragments() -> Iterator[Case]:
    """Section 5.4: messages in pieces."""
    first, last = frame(TEXT, CAT[:9], fin=False), frame(CONT, CAT[9:])
    yield taken("two_fragments", first + last, CATS)
    yield taken("fragments_of_a_byte", b"".join(pieces(CAT, *range(1, len(CAT)))), CATS)
    empty = frame(TEXT, fin=False) + frame(CONT, fin=False) + frame(CONT, CAT, fin=False)
    yield taken("empty_fragments", empty + frame(CONT), CATS)
    yield taken("messages_one_after_the_other", (first + last) * 2, CATS)
    yield taken("ping_between", first + frame(PING, b"now") + last, CATS, b"now")
    yield taken("pong_between", first + frame(PONG, b"so") + last, CATS)
    many = [frame(PING, bytes([n])) + each for n, each in enumerate(pieces(CAT, 1, 5, 9))]
    yield taken("pings_between_all", b"".join(many), CATS, b"\0", b"\1", b"\2", b"\3")
    yield closes("close_between", first + closing(1000), 1000)
    yield closes("continuation_of_nothing", last, 1002)
    yield closes("continuation_of_nothing_to_be_continued", frame(CONT, b"x", fin=False), 1002)
    yield closes("continuation_of_what_has_ended", first + last + last, 1002)._replace(
        subscribed=CATS
    )
    for opcode in (TEXT, BINARY):
        for fin in (True, False):
            name = f"{opcode.name.lower()}_{'whole' if fin else 'begun'}_within_message"
            yield closes(name, first + frame(opcode, b"{}", fin=fin), 1002)
    for opcode in (PING, PONG, CLOSE):
        name = opcode.name.lower()
        yield closes(f"fragment_of_{name}", frame(opcode, b"", fin=False), 1002)
        data = b"\x03\xe8".ljust(126, b"x")
        yield closes(f"{name}_of_126_bytes", frame(opcode, data), 1002)
        yield closes(f"{name}_of_70000_bytes", frame(opcode, b"", size=70_000), 1002)
        yield closes(f"{name}_in_form_126", frame(opcode, b"\x03\xe8", form=126), 1002)
        yield closes(f"{name}_in_form_127", frame(opcode, b"\x03\xe8", form=127), 1002)


def _pings() -> Iterator[Case]:
    """Sections 5.5.2 and 5.5.3: what keeps a connection alive."""
    yield stays("ping", frame(PING), b"")
    yield stays("ping_of_125_bytes", frame(PING, b"x" * 125), b"x" * 125)
    yield stays("ping_of_any_bytes", frame(PING, b"\xff\0\xfe"), b"\xff\0\xfe")
    words = tuple(b"%d" % number for number in range(10))
    yield stays("pings_in_order", b"".join(frame(PING, each) for each in words), *words)
    yield stays("unsolicited_pong", frame(PONG, b"nobody asked"))
    yield stays("pong_of_125_bytes", frame(PONG, b"x" * 125))


INVALID = {
    "continuation": b"\x80",
    "continuations": b"\x80\xbf\x80",
    "fe": b"\xfe",
    "ff": b"\xff",
    "overlong_2": b"\xc0\x80",
    "overlong_2_slash": b"\xc1\xaf",
    "overlong_3": b"\xe0\x80\xaf",
    "overlong_4": b"\xf0\x80\x80\xaf",
    "five_bytes": b"\xf8\x88\x80\x80\x80",
    "six_bytes": b"\xfc\x84\x80\x80\x80\x80",
    "high_surrogate": b"\xed\xa0\x80",
    "low_surrogate": b"\xed\xbf\xbf",
    "surrogate_pair": b"\xed\xa0\xbd\xed\xb8\x80",
    "beyond_unicode": b"\xf4\x90\x80\x80",
    "cut_2": b"\xc3",
    "cut_3": b"\xe6\x97",
    "cut_4": b"\xf0\x9d\x92",
    "cut_in_the_middle": b"\xe6\x97x",
    "latin_1": b"caf\xe9",
}


def _texts() -> Iterator[Case]:
    """Section 8.1: text is UTF-8."""
    yield taken("utf8", frame(TEXT, GREEK), TAG)
    for text in ("\0", "\ufeff", "\ufffe", "\uffff", "\U0010ffff", "\ud7ff\ue000", ""):
        name = "_".join(f"{ord(letter):x}" for letter in text) or "empty"
        yield stays(f"text_{name}", frame(TEXT, text.encode()))
    for name, data in INVALID.items():
        yield closes(f"text_{name}", frame(TEXT, data), 1007)
        yield closes(f"text_{name}_behind_others", frame(TEXT, GREEK + data), 1007)
        if len(data) > 1:
            yield closes(f"text_{name}_in_fragments", b"".join(pieces(data, 1)), 1007)
        yield closes(f"reason_{name}", closing(1000, data), 1007)


def _binaries() -> Iterator[Case]:
    """Section 7.4.1: data that is not understood."""
    yield closes("binary", frame(BINARY, SUBSCRIBE), 1003)
    yield closes("empty_binary", frame(BINARY), 1003)
    yield closes("binary_that_is_no_text", frame(BINARY, b"\xff\xfe"), 1003)
    said = frame(BINARY, b"x", fin=False) + frame(PING, b"now") + frame(CONT, b"\xff")
    yield closes("binary_in_fragments", said, 1003, b"now")


def _ends() -> Iterator[Case]:
    """Sections 5.5.1 and 7.4: saying goodbye."""
    yield closes("close_without_code", frame(CLOSE), NO_CODE)
    standard = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011)
    registered = (1012, 1013)
    for code in (*standard, *registered, 3000, 3999, 4000, 4999):
        yield closes(f"close_{code}", closing(code), code)
    yield closes("close_with_reason", closing(1000, b"bye"), 1000)
    yield closes("close_with_longest_reason", closing(4000, "é".encode() * 61 + b"!"), 4000)
    for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
        yield closes(f"close_{code}", closing(code), 1002)
    for byte in (b"\x03", b"\0", b"\xff"):
        yield closes(f"close_with_a_byte_{byte.hex()}", frame(CLOSE, byte), 1002)
    yield closes("close_twice", closing(1001) + closing(1000), 1001)
    yield closes("close_after_a_mistake", frame(3) + closing(1000), 1002)
    yield Case("close_after_binary", frame(BINARY) + closing(1000), 1003)
    yield closes("answers_before_the_close", frame(PING, b"1") + closing(1000), 1000, b"1")


SECTIONS: tuple[Callable[[], Iterator[Case]], ...] = (
    *(_masking, _headers, _limits, _fragments),
    *(_pings, _texts, _binaries, _ends),
)


class Client(Visitor):
    """A client that sends exactly the bytes that it is told to send."""

    def shake_hands(self) -> None:
        """Become a WebSocket, and forget the response."""
        self.send(head())
        assert self.raw.startswith(b"HTTP/1.1 101 "), self.raw
        self.wire.clear()

    def say(self, data: bytes, size: int = 1 << 20) -> None:
        """Send bytes in segments of this *size*, until the server has hung up."""
        for at in range(0, len(data), size):
            if not self.wire.lost:
                self.wire.protocol.dataReceived(data[at : at + size])
        self.stage.turn()

    @property
    def frames(self) -> list[Frame]:
        """The frames that have come."""
        return list(read_frames(self.raw))


class ClientTestCase(StageTestCase):
    """A test of clients that are in."""

    def connect(self) -> Client:
        """Connect a client of ann's that hears her direct messages."""
        client = Client(self.stage)
        client.shake_hands()
        return client


class FrameTests(ClientTestCase):
    """What is said after the handshake."""

    def check(self, case: Case, size: int) -> None:
        """Hold the server to one row, and make sure that nobody else notices."""
        other = self.stage.websocket("/?access_token=ben&stream=user")
        client = self.connect()
        client.say(case.said, size)
        came = client.frames
        self.assertEqual([(PONG, each) for each in case.pongs], came[: len(case.pongs)])
        mine = {"timeline:access_token:1001", "timeline:system:1", "timeline:direct:1"}
        new = {name for name in self.stage.redis.channels() - mine if "tag" in name or name == USER}
        if case.code is None:
            self.assertEqual({case.subscribed} - {""}, new)
            self.lives(client, len(case.pongs))
            client.say(closing(1000))
        else:
            self.is_closed(client, case)
        self.stage.wait(CLOSE_TIMEOUT + 1)
        self.assertTrue(client.closed)
        self.stage.publish("timeline:2", "delete", "5")
        self.assertEqual("5", other.messages[-1]["payload"])
        other.hang_up()
        self.assert_nothing_left()

    def lives(self, client: Client, before: int) -> None:
        """Make sure that the connection still does what it is for."""
        self.assertFalse(client.closed)
        self.stage.publish("timeline:direct:1", "delete", "7")
        ((opcode, data),) = client.frames[before:]
        self.assertEqual((TEXT, True), (opcode, b'"7"' in data))

    def is_closed(self, client: Client, case: Case) -> None:
        """Make sure that the connection has been closed by a frame, and nothing comes behind."""
        (opcode, data), *behind = client.frames[len(case.pongs) :]
        self.assertEqual((CLOSE, []), (opcode, behind))
        code = int.from_bytes(data[:2], "big") if data else NO_CODE
        self.assertEqual(case.code, code)
        data[2:].decode()
        self.stage.publish("timeline:direct:1", "delete", "7")
        self.stage.wait(40)
        self.assertEqual(behind, client.frames[len(case.pongs) + 1 :])


def _add_cases() -> None:
    for case in (case for section in SECTIONS for case in section()):
        # What is long comes in segments, for a byte at a time would take long.
        small = 1 if len(case.said) < 2000 else 997
        for way, size in (("together", 1 << 20), ("in_small_segments", small)):

            def test(self: FrameTests, case: Case = case, size: int = size) -> None:
                self.check(case, size)

            name = f"test_{case.name}_{way}"
            assert not hasattr(FrameTests, name), name
            setattr(FrameTests, name, test)


_add_cases()


class CutTests(ClientTestCase):
    """What is right stays right wherever the network or the client cuts it."""

    def hears_the_tag(self, *segments: bytes) -> bool:
        """Whether *segments*, said by a new client, subscribe it to the hashtag."""
        client = self.connect()
        for segment in segments:
            client.say(segment)
        heard = TAG in self.stage.redis.channels()
        self.assertEqual([], client.frames)
        client.hang_up()
        return heard

    def test_fragments_cut_anywhere(self) -> None:
        """A text may be cut into fragments between any two of its bytes."""
        for at in range(len(GREEK) + 1):
            self.assertTrue(self.hears_the_tag(b"".join(pieces(GREEK, at))), at)
        self.assert_nothing_left()

    def test_segments_cut_anywhere(self) -> None:
        """A frame may be cut into segments between any two of its bytes."""
        said = frame(TEXT, GREEK)
        for at in range(len(said) + 1):
            self.assertTrue(self.hears_the_tag(said[:at], said[at:]), at)
        self.assert_nothing_left()

    def test_both_cut_anywhere(self) -> None:
        """So it may when it comes in fragments with a ping between."""
        start = GREEK.index("é".encode())
        for inner in range(start, len(GREEK)):
            first, last = pieces(GREEK, inner)
            said = first + frame(PONG, b"x") + last
            for at in (len(first) - 1, len(first) + 3, len(said) - 1):
                self.assertTrue(self.hears_the_tag(said[:at], said[at:]), (inner, at))
        self.assert_nothing_left()

    def test_bad_text_cut_anywhere(self) -> None:
        """Text that is not UTF-8 does not become better by being cut."""
        bad = GREEK + b"\xed\xa0\x80" + GREEK
        for at in range(len(bad) + 1):
            client = self.connect()
            client.say(b"".join(pieces(bad, at)))
            self.assertEqual([(CLOSE, 1007)], codes(client), at)
            client.hang_up()
        self.assert_nothing_left()


def codes(client: Client) -> list[tuple[int, int]]:
    """Opcodes of the frames that have come, with the code that each of them begins with."""
    return [(opcode, int.from_bytes(data[:2], "big")) for opcode, data in client.frames]


HTTP = b"GET /api/v1/streaming/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
UPPER = head().replace(b"Sec-WebSocket", b"SEC-WEBSOCKET").replace(b"Upgrade:", b"UPGRADE:")
LOWER = b"\r\n".join(
    name.lower() + b":" + value if end else name
    for name, end, value in (line.partition(b": ") for line in head().split(b"\r\n"))
)
# Name, what is said, and the status that answers it; 101 has to be right in every respect.
HANDSHAKES: tuple[tuple[str, bytes, int], ...] = (
    ("right", head(), 101),
    ("upper_case_names", UPPER, 101),
    ("lower_case_names_without_spaces", LOWER, 101),
    ("odd_spaces", head(Upgrade=" \twebsocket\t ", Connection="  Upgrade  "), 101),
    ("upper_case_values", head(Upgrade="WEBSOCKET", Connection="UPGRADE"), 101),
    ("list_of_connections", head(Connection="keep-alive, Upgrade"), 101),
    ("list_of_upgrades", head(Upgrade="h2c, websocket"), 101),
    ("two_connection_headers", head("Connection: keep-alive"), 101),
    ("two_upgrade_headers", head("Upgrade: h2c"), 101),
    ("unknown_headers", head("X-Anything: \xe9\xff", "X-Empty:"), 101),
    ("extension", head("Sec-WebSocket-Extensions: permessage-deflate"), 101),
    ("extensions", head("Sec-WebSocket-Extensions: x; y=1", "Sec-WebSocket-Extensions: z"), 101),
    ("two_origins", head("Origin: https://a.example", "Origin: null"), 101),
    ("port_in_host", head(Host="localhost:4000"), 101),
    ("address_as_host", head(Host="[::1]:4000"), 101),
    ("absolute_target", head(line=f"GET http://localhost{TARGET} HTTP/1.1"), 101),
    ("no_version", head(without="Sec-WebSocket-Version"), 400),
    *((f"version_{v}", head(Sec_WebSocket_Version=v), 400) for v in ("0", "7", "12", "14", "99")),
    *((f"version_{v!r}", head(Sec_WebSocket_Version=v), 400) for v in ("", "x", "13, 8", "-13")),
    ("version_of_5000_digits", head(Sec_WebSocket_Version="9" * 5000), 400),
    ("two_versions", head("Sec-WebSocket-Version: 13"), 400),
    ("no_key", head(without="Sec-WebSocket-Key"), 400),
    ("empty_key", head(Sec_WebSocket_Key=""), 400),
    ("short_key", head(Sec_WebSocket_Key="c2hvcnQ="), 400),
    ("long_key", head(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZSBvZiAyMg=="), 400),
    ("key_that_is_not_base64", head(Sec_WebSocket_Key="dGhlIHNhbXBsZS*ub25jZQ=="), 400),
    ("key_that_is_not_ascii", head(Sec_WebSocket_Key="dGhlIHNhbXBsZS\xe9ub25jZQ=="), 400),
    ("two_keys", head("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400),
    ("no_host", head(without="Host"), 400),
    ("two_hosts", head("Host: localhost"), 400),
    ("host_with_bad_port", head(Host="localhost:x"), 400),
    ("fragment_in_target", head(line=f"GET {TARGET}#x HTTP/1.1"), 400),
    ("broken_target", head(line="GET http://[/?access_token=ann HTTP/1.1"), 400),
    ("post", head(line=f"POST {TARGET} HTTP/1.1"), 405),
    ("head", head(line=f"HEAD {TARGET} HTTP/1.1"), 405),
    ("lower_case_method", head(line=f"get {TARGET} HTTP/1.1"), 405),
    ("http_1_0", head(line=f"GET {TARGET} HTTP/1.0"), 505),
    ("http_2_0", head(line=f"GET {TARGET} HTTP/2.0"), 505),
    ("no_http_version", head(line=f"GET {TARGET}"), 400),
    ("too_many_words", head(line=f"GET {TARGET} x HTTP/1.1"), 400),
    ("no_words", head(line=""), 400),
    # What does not ask for a WebSocket is HTTP, where the path leads nowhere.
    ("no_upgrade", head(without="Upgrade"), 400),
    ("other_upgrade", head(Upgrade="h2c"), 400),
    ("no_connection", head(without="Connection"), 400),
    ("other_connection", head(Connection="keep-alive"), 400),
    ("space_before_the_colon", head("Upgrade : websocket", without="Upgrade"), 400),
    ("wrong_token", head(line="GET /?access_token=nobody HTTP/1.1"), 401),
    ("no_token", head(line="GET / HTTP/1.1"), 401),
)


class HandshakeTests(StageTestCase):
    """How a WebSocket begins."""

    def check(self, said: bytes, status: int) -> None:
        """Hold the server to one row."""
        client = Client(self.stage)
        client.send(said)
        self.assertEqual(status, client.status)
        self.assertEqual(1, client.raw.count(b"HTTP/1.1 "))
        if status == 101:
            self.is_open(client)
        else:
            self.assertNotIn("sec-websocket-accept", client.headers)
            self.assertEqual(b"", client.raw.partition(b"\r\n\r\n")[2].replace(client.body, b""))
        client.hang_up()
        self.assert_nothing_left()

    def is_open(self, client: Client) -> None:
        """Make sure that there is a WebSocket, and that it is agreed to as it has to be."""
        headers = client.headers
        self.assertEqual("websocket", headers["upgrade"].lower())
        self.assertEqual("upgrade", headers["connection"].lower())
        self.assertEqual(ACCEPT, headers["sec-websocket-accept"])
        self.assertNotIn("sec-websocket-extensions", headers)
        self.assertNotIn("sec-websocket-protocol", headers)
        client.wire.clear()
        self.stage.publish("timeline:direct:1", "delete", "7")
        self.assertEqual([TEXT], [opcode for opcode, _ in client.frames])

    def test_versions_that_are_spoken(self) -> None:
        """Who asks for another version is told which one is spoken."""
        client = Client(self.stage)
        client.send(head(Sec_WebSocket_Version="99"))
        self.assertIn("13", client.headers["sec-websocket-version"].split(","))

    def test_subprotocol(self) -> None:
        """Of the subprotocols on offer one is chosen; none is made up."""
        client = Client(self.stage)
        client.send(head("Sec-WebSocket-Protocol: one, two"))
        self.assertEqual((101, "one"), (client.status, client.headers["sec-websocket-protocol"]))

    def test_subprotocols_in_two_headers(self) -> None:
        """What is on offer may be spread over several headers, as over one."""
        client = Client(self.stage)
        client.send(head("Sec-WebSocket-Protocol: one", "Sec-WebSocket-Protocol: two"))
        self.assertEqual((101, "one"), (client.status, client.headers["sec-websocket-protocol"]))

    def test_cut_anywhere(self) -> None:
        """A handshake may be cut between any two of its bytes."""
        said = head()
        for at in range(1, len(said)):
            client = Client(self.stage)
            client.send(said[:at])
            self.assertEqual(b"", client.raw)
            client.send(said[at:])
            self.is_open(client)
            client.hang_up()
        self.assert_nothing_left()

    def test_cut_everywhere(self) -> None:
        """It may come byte by byte, and so may what follows."""
        client = Client(self.stage)
        client.say(head() + frame(TEXT, SUBSCRIBE), 1)
        self.is_open(client)
        self.assertIn(USER, self.stage.redis.channels())

    def test_with_frames(self) -> None:
        """Frames in the segment that ends the handshake count, wherever the segment ends."""
        said = head() + frame(TEXT, GREEK) + frame(PING, b"x")
        for at in range(len(head()), len(said) + 1):
            client = Client(self.stage)
            client.send(said[:at])
            client.send(said[at:])
            self.assertIn(TAG, self.stage.redis.channels())
            self.assertTrue(client.raw.endswith(b"\r\n\r\n\x8a\x01x"), client.raw)
            client.hang_up()
        self.assert_nothing_left()

    def test_with_a_close(self) -> None:
        """Who says goodbye with the handshake is answered to both."""
        client = Client(self.stage)
        client.send(head() + closing(1000))
        self.assertEqual(101, client.status)
        self.assertTrue(client.raw.endswith(b"\r\n\r\n\x88\x02\x03\xe8"), client.raw)
        self.assert_nothing_left()

    def test_twice(self) -> None:
        """A second handshake behind the first is no frame."""
        client = Client(self.stage)
        client.send(head() + head())
        self.assertEqual(1, client.raw.count(b"HTTP/1.1 101 "))
        self.assertIn(b"\r\n\r\n\x88", client.raw)

    def test_behind_http(self) -> None:
        """A handshake behind another request is answered when that one has been."""
        for at in range(len(HTTP), len(HTTP + head()), 7):
            said = HTTP + head()
            client = Client(self.stage)
            client.send(said[:at])
            client.send(said[at:])
            self.assertTrue(client.raw.startswith(b"HTTP/1.1 200 "))
            self.assertEqual(1, client.raw.count(b"HTTP/1.1 101 "), client.raw)
            client.hang_up()
        self.assert_nothing_left()

    def test_behind_http_that_waits(self) -> None:
        """So is one behind a request that the database has to be asked for."""
        self.stage.mastodon.held = []
        client = Client(self.stage)
        client.send(b"HEAD /api/v1/streaming/user?access_token=ann HTTP/1.1\r\nHost: x\r\n\r\n")
        client.send(head())
        self.assertEqual(b"", client.raw)
        for _ in range(3):
            self.stage.mastodon.let_go()
            self.stage.turn()
        first, _, second = client.raw.partition(b"\r\n\r\n")
        self.assertTrue(first.startswith(b"HTTP/1.1 200 "), first)
        self.assertTrue(second.startswith(b"HTTP/1.1 101 "), second)
        client.hang_up()
        self.assert_nothing_left()

    def test_behind_an_end(self) -> None:
        """Behind the last request of a connection nothing is answered, whatever it is."""
        for last in (
            b"x\r\n\r\n",
            b"GET / HTTP/1.1\r\nno header\r\n\r\n",
            HTTP.replace(b"HTTP/1.1", b"HTTP/1.0"),
            HTTP.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        ):
            for behind in (head(), HTTP, b"\r\n\r\n"):
                client = Client(self.stage)
                client.send(last + behind)
                self.assertEqual(1, client.raw.count(b"HTTP/1."), client.raw)
                self.assertTrue(client.closed)
        self.assert_nothing_left()


def _add_handshakes() -> None:
    for name, said, status in HANDSHAKES:

        def test(self: HandshakeTests, said: bytes = said, status: int = status) -> None:
            self.check(said, status)

        assert not hasattr(HandshakeTests, f"test_{name}"), name
        setattr(HandshakeTests, f"test_{name}", test)


_add_handshakes()
