"""
Strategies for what nobody writes by mistake: values that are made to break whoever reads them.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as some
from hypothesis.strategies import SearchStrategy

from flodgatt_tx.streams import KINDS
from tests.properties import JSON_TEXTS, STRING_TEXTS
from tests.stage import status
from tests.wire import BINARY, CLOSE, CONT, PING, PONG, TEXT, closing, frame

DEPTHS = (1, 250, 900, 1000, 1023, 1024, 100_000)

# Characters that something means something to: NUL, line breaks, halves of surrogate pairs, what
# folds or composes to something longer or shorter, what is invisible or turns writing around.
_LETTERS = (
    "aA1é日😀\0\r\n\t :;,.=&?#%+\"'\\/<>{}[]()*|-_@ßẞſİıKﬁﷺǆσς"
    "\u0301\u200b\u200c\u200d\u202e\ufeff\ufffd\u2028\x7f\x85"
)
TEXTS = some.one_of(
    some.text(_LETTERS, max_size=12),
    some.text(some.characters(exclude_categories=["Cs"]), max_size=12),
    some.sampled_from(["", "x" * 255, "x" * 1025, "é" * 600, "0" * 5000, "\0", "ﷺ" * 300]),
)
# As Python may hold them, which JSON can write and UTF-8 cannot.
TORN_TEXTS = some.one_of(TEXTS, some.text(some.sampled_from("a\ud800\udfff\udc00é"), max_size=6))

_INTEGERS = some.one_of(
    some.integers(),
    some.sampled_from([2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63), -1, 0]),
)
# What would fail a query that asks for many at once, and what only looks like an id.
IDS = some.one_of(
    _INTEGERS,
    _INTEGERS.map(str),
    some.sampled_from(
        ["٣", "5_0", "+5", " 5", "5 ", "0x5", "5.0", "1e3", "", "0" * 21, "²", "１", "5\0", "-0"]
    ),
    some.booleans(),
    some.floats(),
    TEXTS,
)


@some.composite
def nested(draw: some.DrawFn) -> str:
    """JSON that is deeper than anybody needs, whole or cut."""
    depth = draw(some.sampled_from(DEPTHS))
    start, end = draw(some.sampled_from([("[", "]"), ('{"a":', "}"), ('[{"":', "}]")]))
    inner = draw(some.sampled_from(["", "1", '"x"', "null"]))
    return start * depth + inner + (end * depth if draw(some.booleans()) else "")


JSON_VALUES = some.one_of(
    JSON_TEXTS,
    nested(),
    IDS.map(lambda value: json.dumps(value)),
    TORN_TEXTS.map(lambda value: json.dumps(value)),
    some.sampled_from(["NaN", "-Infinity", "1e400", "-0", "9" * 5000, "1" * 400, "01", "[,]", ""]),
)


@some.composite
def objects(draw: some.DrawFn, *names: str) -> str:
    """JSON objects with some of these names in any order, more than once, and others."""
    keys = some.one_of(some.sampled_from([json.dumps(each) for each in names]), STRING_TEXTS)
    members = draw(some.lists(some.tuples(keys, JSON_VALUES), max_size=5))
    return "{" + ",".join(f"{name}:{value}" for name, value in members) + "}"


_EVENTS = some.one_of(
    some.sampled_from(["update", "status.update", "delete", "filters_changed", "kill"]), TORN_TEXTS
)
_ENCODINGS = some.sampled_from(["utf-8", "utf-8", "utf-8", "utf-16", "utf-32", "utf-8-sig"])


@some.composite
def statuses(draw: some.DrawFn) -> str:
    """JSON of statuses that are wrong in a place or two."""
    entity: dict[str, Any] = status()
    account = entity["account"]
    for part, name in draw(
        some.lists(
            some.sampled_from(
                [
                    *((entity, name) for name in (*entity, "spoiler_text", "poll", "reblog")),
                    *((account, name) for name in account),
                ]
            ),
            max_size=3,
        )
    ):
        part[name] = draw(some.one_of(IDS, TORN_TEXTS, some.lists(IDS, max_size=2), some.none()))
    if draw(some.booleans()):
        entity["mentions"] = [{"id": draw(IDS)} for _ in range(draw(some.integers(0, 3)))]
    return json.dumps(entity)


@some.composite
def envelopes(draw: some.DrawFn) -> bytes:
    """What may be published: envelopes, nearly envelopes, and anything."""
    payload = draw(some.one_of(statuses(), JSON_VALUES))
    name = json.dumps(draw(_EVENTS))
    text = draw(
        some.one_of(
            some.just(f'{{"event":{name},"payload":{payload}}}'),
            some.just(f'{{"payload":{payload},"event":{name}}}'),
            some.just(f'{{"event":"update","payload":{payload},"payload":{payload}}}'),
            objects("event", "payload"),
            JSON_VALUES,
        )
    )
    return _encoded(draw, text)


def _encoded(draw: some.DrawFn, text: str) -> bytes:
    data = text.encode(draw(_ENCODINGS), "surrogatepass")
    at = draw(some.integers(0, 60))
    return data[:at] + draw(some.binary(max_size=2)) + data[at:] if draw(some.booleans()) else data


@some.composite
def commands(draw: some.DrawFn) -> bytes:
    """What a client may say: commands, nearly commands, and anything."""
    kind = json.dumps(draw(some.one_of(some.sampled_from(KINDS), TEXTS)))
    what = draw(some.sampled_from(["subscribe", "unsubscribe"]))
    name = draw(some.sampled_from(["tag", "list", "allow_local_only", "only_media", "stream"]))
    value = draw(JSON_VALUES)
    text = draw(
        some.one_of(
            some.just(f'{{"type":"{what}","stream":{kind},"{name}":{value}}}'),
            some.just(f'{{"type":"{what}","stream":[{kind},{value}],"{name}":{value}}}'),
            objects("type", "stream", "tag", "list"),
            JSON_VALUES,
        )
    )
    return _encoded(draw, text)


PARAMETERS: SearchStrategy[dict[str, object]] = some.dictionaries(
    some.sampled_from(["tag", "list", "allow_local_only", "only_media"]),
    some.one_of(
        IDS, TEXTS, some.none(), some.lists(IDS, max_size=2), some.dictionaries(TEXTS, IDS)
    ),
)


@some.composite
def targets(draw: some.DrawFn) -> bytes:
    """Targets of requests: known paths with strange queries, and anything."""
    path = draw(
        some.one_of(
            some.sampled_from(KINDS).map(
                lambda kind: "/api/v1/streaming/" + kind.replace(":", "/")
            ),
            TEXTS,
        )
    )
    names = some.one_of(
        some.sampled_from(["tag", "list", "stream", "only_media", "access_token"]), TEXTS
    )
    pairs = draw(some.lists(some.tuples(names, TEXTS), max_size=4))
    query = "&".join(f"{name}={value}" for name, value in pairs)
    return _encoded(draw, f"{path}?{query}")


FRAMES = some.one_of(
    some.builds(
        frame,
        some.sampled_from([TEXT, TEXT, TEXT, CONT, BINARY, PING, PONG, CLOSE, 3, 11]),
        some.one_of(commands(), some.binary(max_size=130)),
        fin=some.sampled_from([True, True, True, False]),
        reserved=some.sampled_from([0] * 9 + [1, 4]),
        mask=some.one_of(some.just(b"\x37\xfa\x21\x3d"), some.none()),
        form=some.sampled_from([0] * 9 + [126, 127]),
        size=some.sampled_from([None] * 9 + [0, 1 << 17, 1 << 63]),
    ),
    some.builds(closing, some.integers(0, 0xFFFF), some.binary(max_size=8)),
    some.binary(max_size=8),
)
# Frames as they are, or cut off anywhere.
SAID = some.builds(
    lambda frames, cut: b"".join(frames)[: cut or None],
    some.lists(FRAMES, max_size=5),
    some.one_of(some.just(0), some.integers(-20, 60)),
)
SEGMENTS = some.sampled_from([1, 2, 7, 100, 1 << 20])

_HEADS = (
    b"GET /api/v1/streaming?access_token=ann&stream=user HTTP/1.1\r\nHost: x\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    b"GET /api/v1/streaming/user?access_token=ann HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /api/v1/streaming/hashtag?tag=%00 HTTP/1.1\r\nHost: x\r\nAuthorization: ann\r\n\r\n",
    b"POST /api/v1/streaming/user HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\nAccess-Control-Request-Headers: a\r\n\r\n",
    b"HEAD /metrics HTTP/1.0\r\n\r\n",
)
_SPOILERS = some.one_of(
    some.binary(max_size=3),
    some.sampled_from([b"\r\n", b"\n", b"\r\n\r\n", b"\0", b"\x85", b": ", b" ", b"x" * 20_000]),
)


@some.composite
def requests(draw: some.DrawFn) -> bytes:
    """Requests, one after the other, with something put in or taken out."""
    data = b"".join(draw(some.lists(some.sampled_from(_HEADS), min_size=1, max_size=3)))
    for _ in range(draw(some.integers(0, 3))):
        at = draw(some.integers(0, len(data)))
        data = data[:at] + draw(_SPOILERS) + data[at + draw(some.integers(0, 4)) :]
    return data


CHANNELS = some.sampled_from(
    [
        *("timeline:2", "timeline:public", "timeline:1", "timeline:direct:1", "timeline:nobody"),
        *("timeline:system:1", "timeline:access_token:1001", "timeline:system:3"),
    ]
)


def _bulk(data: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(data), data)


def _array(values: list[bytes]) -> bytes:
    return b"*%d\r\n%b" % (len(values), b"".join(values))


_RESP_SCALARS = some.one_of(
    some.binary(max_size=8).map(_bulk),
    some.sampled_from([b"message", b"subscribe", b"unsubscribe", b"timeline:2", b"PONG"]).map(
        _bulk
    ),
    some.integers(-(2**63), 2**63 - 1).map(lambda number: b":%d\r\n" % number),
    some.sampled_from(
        [b"$-1\r\n", b"*-1\r\n", b"+OK\r\n", b"+QUEUED\r\n", b"-ERR no\r\n", b"_\r\n", b"#t\r\n"]
    ),
)
_RESP = some.recursive(
    _RESP_SCALARS, lambda of: some.lists(of, max_size=4).map(_array), max_leaves=6
)
_ANNOUNCED = some.sampled_from([b"message", b"subscribe", b"unsubscribe", b"pmessage"]).map(_bulk)
# Replies of Redis that are well formed and make no sense.
REPLIES = some.lists(
    some.one_of(_RESP, some.tuples(_ANNOUNCED, _RESP, _RESP).map(list).map(_array)), max_size=4
).map(b"".join)
