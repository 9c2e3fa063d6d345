"""
What holds of the core whatever it is given.

Each function here takes what somebody else might have written, and raises AssertionError if that
got further than it may. Anything else that is raised is a mistake as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from flodgatt_tx.commands import parse_command
from flodgatt_tx.credentials import find_token
from flodgatt_tx.envelope import BadEnvelopeError, Event, parse_event, parse_system_event
from flodgatt_tx.errors import RefusalError, UnauthorizedError
from flodgatt_tx.filtering import read_status
from flodgatt_tx.framing import (
    encode_stream,
    frame_error,
    frame_sse,
    frame_websocket,
    with_filtered,
)
from flodgatt_tx.hashtags import lower_hashtag, normalize_hashtag
from flodgatt_tx.ids import LARGEST
from flodgatt_tx.keyword_filters import Filter
from flodgatt_tx.keywords import Matcher
from flodgatt_tx.plaintext import searchable_text
from flodgatt_tx.query import split_target
from flodgatt_tx.scopes import parse_scopes
from flodgatt_tx.streams import LONGEST_TAG, kind_of_path, open_stream, presence_keys
from flodgatt_tx.viewer import Viewer
from flodgatt_tx.words import is_word
from tests.wire import TEXT, read_frames

VIEWERS = tuple(
    Viewer(1001, 1, parse_scopes(scopes), None, 0, before_4)
    for scopes in ("read", "read:statuses")
    for before_4 in (False, True)
)
_LINE_BREAK = re.compile("\r\n|\r|\n")
_NAME = re.compile("[^\0\r\n]+")
# What no channel and no hashtag has, as Rails writes them since 4.0.
_NO_TAG = re.compile(r"[\x00-\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f]")


def read_sse(stream: bytes) -> list[dict[str, str]]:
    """
    Read events as https://html.spec.whatwg.org/multipage/server-sent-events.html says.

    Every field counts, also those that no server here should ever send.
    """
    events: list[dict[str, str]] = []
    fields: dict[str, str] = {}
    *lines, rest = _LINE_BREAK.split(stream.decode())
    assert not rest, "the last line does not end"
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            again = name == "data" and name in fields
            fields[name] = f"{fields[name]}\n{value}" if again else value
        elif fields:
            events.append(fields)
            fields = {}
    assert not fields, "an event does not end"
    return events


def envelope(message: bytes) -> None:
    """A published message is an event that reaches each reader as it is, or is refused."""
    meant = _meant(message)
    try:
        event = parse_event(message)
    except BadEnvelopeError:
        event = None
    try:
        name = parse_system_event(message)
    except BadEnvelopeError:
        assert event is None, "no name, but an event"
        return
    assert meant is not None and meant["event"] == name, "another name than JSON has it"
    assert _NAME.fullmatch(name), "a name that SSE cannot hold"
    if event is not None:
        assert event.name == name
        _payload(event, meant.get("payload"))
        framed(event)
        _status(event)


def _meant(message: bytes) -> dict[str, Any] | None:
    """What the standard library makes of a message, if it is an object."""
    try:
        value = json.loads(message.decode())
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _payload(event: Event, meant: object) -> None:
    if event.payload is None:
        assert not meant and event.value is None
        return
    assert json.loads(event.payload) == meant, "another payload"
    # The value is what orjson makes of it: a float of an integer that is too large for others.
    assert type(event.value) is type(meant) or isinstance(meant, int), "another type"


def framed(event: Event) -> None:
    """An event is one event for every kind of reader, and says what was published."""
    (fields,) = read_sse(frame_sse(event))
    assert fields.keys() == {"event", "data"}, f"fields {fields.keys()}"
    assert fields["event"] == _sound(event.name)
    said = _said(event)
    assert fields["data"] == "\n".join(_LINE_BREAK.split("null" if said is None else said))
    for name in (("user",), ("hashtag", 'ca"t\ud800\n'), ("list", 5)):
        (frame,) = read_frames(frame_websocket(event, encode_stream(name)))
        body = json.loads(frame.data)
        assert frame.opcode == TEXT and body["event"] == _sound(event.name)
        assert body["stream"] == [_sound(word) if isinstance(word, str) else word for word in name]
        assert ("payload" in body) == (said is not None)
        if isinstance(event.value, str | dict | list):
            assert _sound(body["payload"]) == said, "another payload"


def _said(event: Event) -> str | None:
    if event.payload is None:
        return None
    return _sound(event.value) if isinstance(event.value, str) else event.payload.decode()


def _sound(text: str) -> str:
    """Text as UTF-8 can hold it."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def status_text(html: str) -> None:
    """Whatever the HTML of a status is, the rest of what it says is not lost with it."""
    poll = {"options": [{"title": html}, {"title": "the end"}]}
    text = searchable_text({"content": html, "spoiler_text": html, "poll": poll})
    assert text.startswith(html) and text.endswith("the end"), text


def _status(event: Event) -> None:
    """Whatever a status holds, it can be judged or nobody gets it."""
    status = read_status(event.value)
    if status is not None:
        assert all(0 <= each <= LARGEST for each in (status.author, *status.mentions))
    if isinstance(event.value, dict):
        searchable_text(event.value)
        told = with_filtered(event, b'[{"x":1}]')
        assert json.loads(told.payload or b"")["filtered"] == [{"x": 1}]
        framed(told)


def command(message: bytes) -> None:
    """What a client says opens a stream, is refused, or is no command at all."""
    said = parse_command(message)
    if said is not None:
        stream(said.kind, said.parameters)


def stream(kind: str, parameters: Mapping[str, object]) -> None:
    """A stream that can be opened can be asked of Redis and PostgreSQL without harm to others."""
    for viewer in VIEWERS:
        try:
            opened = open_stream(kind, parameters, viewer)
        except RefusalError as refusal:
            tuple(read_frames(frame_error(refusal.message, refusal.status)))
            continue
        assert opened.kind == kind == opened.name[0]
        assert opened.channels and all(len(each.encode()) < 20_000 for each in opened.channels)
        assert all(each.startswith("timeline:") for each in opened.channels)
        assert json.loads(encode_stream(opened.name)) == list(opened.name)
        assert opened.list_id is None or 0 <= opened.list_id <= LARGEST
        for key in presence_keys(opened):
            assert re.fullmatch(r"subscribed:timeline:[\w:]+", key, re.ASCII), key
        _own_channels(kind, opened.channels)


def _own_channels(kind: str, channels: Sequence[str]) -> None:
    """Nobody's parameters lead to the channels of somebody else."""
    own = {"user", "user:notification", "direct"}
    for channel in channels:
        name = channel.removeprefix("timeline:")
        if kind in own:
            assert name in {"1", "1:notifications", "direct:1"}, channel
        elif kind == "list":
            assert re.fullmatch(r"list:\d+", name, re.ASCII), channel
        elif kind.startswith("hashtag"):
            assert name.startswith("hashtag:"), channel
        else:
            assert name == kind.replace(":allow_local_only", ""), channel


def target(data: bytes) -> None:
    """A target has a path and parameters, whatever it is, and they may lead to a stream."""
    path, parameters = split_target(data)
    for text in (path, *parameters, *parameters.values()):
        text.encode()
    assert path.isascii() or "\ufffd" in path
    for only_media in (False, True):
        kind = kind_of_path(path, only_media)
        if kind is not None:
            stream(kind, parameters)
    if "stream" in parameters:
        stream(parameters["stream"], parameters)


def token(authorization: str | None, parameter: str | None, protocols: str | None) -> None:
    """What is asked of PostgreSQL together with other tokens can be asked."""
    try:
        found = find_token(authorization, parameter, protocols)
    except UnauthorizedError:
        return
    assert re.fullmatch(r"[!-~]{1,255}", found), found
    assert any(found in (place or "") for place in (authorization, parameter, protocols))


def hashtag(name: str) -> None:
    """A tag is the name of a channel, and of no other than a tag's."""
    tag = normalize_hashtag(name)
    assert not _NO_TAG.search(tag), tag
    assert tag == lower_hashtag(tag) == normalize_hashtag(f"#{name}"), tag
    assert len(tag) <= 20 * len(name)
    if len(name.encode("utf-8", "surrogatepass")) <= LONGEST_TAG and not _surrogates(name):
        stream("hashtag", {"tag": name})


def _surrogates(text: str) -> bool:
    return text != _sound(text)


Keyword = tuple[str, bool]


def filters(keywords: Sequence[Keyword], text: str) -> None:
    """Each filter finds what trying all places finds."""
    asking = [
        Filter(str(number), "", ("public",), None, None, "warn", (keyword,))
        for number, keyword in enumerate(keywords)
    ]
    found = {each["filter"]["id"]: each["keyword_matches"] for each in _results(asking, text)}
    for number, keyword in enumerate(keywords):
        match = _by_trying(text, [keyword])
        assert found.get(str(number)) == (None if match is None else [match]), (keyword, text)
    together = Filter("0", "", ("public",), None, None, "hide", tuple(keywords))
    first = _by_trying(text, keywords)
    matches = [each["keyword_matches"] for each in _results([together], text)]
    assert matches == ([] if first is None else [[first]]), (keywords, text)


def _results(asking: Sequence[Filter], text: str) -> list[Any]:
    results: list[Any] = Matcher(asking).results(text, 0.0)
    return results


def _by_trying(text: str, keywords: Sequence[Keyword]) -> str | None:
    """Find the leftmost match, of several at one place that of the keyword listed first."""
    characters = [_fold(letter) for letter in text]
    wanted = [(_fold(keyword), whole) for keyword, whole in keywords]
    for start in range(len(text)):
        for keyword, whole in wanted:
            end = _end(characters, start, keyword) if keyword else None
            if end is not None and not (whole and _cuts_words(characters, start, end)):
                return text[start:end]
    return None


def _fold(text: str) -> str:
    return text.replace("\0", "\ufffd").casefold()


def _end(characters: Sequence[str], start: int, keyword: str) -> int | None:
    end = start
    while keyword and end < len(characters) and keyword.startswith(characters[end]):
        keyword = keyword.removeprefix(characters[end])
        end += 1
    return None if keyword else end


def _cuts_words(characters: Sequence[str], start: int, end: int) -> bool:
    """Whether a place begins or ends within a word."""
    return any(
        0 < at < len(characters) and is_word(characters[at - 1][-1]) and is_word(characters[at][0])
        for at in (start, end)
    )
