"""
How properties are tested: few examples, and the same ones in every run.

With HYPOTHESIS_PROFILE=thorough in the environment there are a hundred times as many, and others
each time.
"""

from __future__ import annotations

import os

from hypothesis import settings
from hypothesis import strategies as some
from hypothesis.strategies import SearchStrategy

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
_TIMES = 100 if THOROUGH else 1
FEW = settings(max_examples=30 * _TIMES, deadline=None, derandomize=not THOROUGH, database=None)
STORIES = settings(FEW, max_examples=15 * _TIMES, stateful_step_count=25)

SPACES = some.sampled_from(["", "", "", " ", "\n", "\r\n\t "])
# Texts of JSON strings, as others may write them.
STRING_TEXTS = some.one_of(
    some.text(
        some.characters(exclude_categories=["Cs"], exclude_characters='"\\', min_codepoint=32),
        max_size=8,
    ).map(lambda text: f'"{text}"'),
    some.sampled_from(
        [
            r'"\ud800"',
            r'"a\udfffb"',
            r'"\ud83d\ude00"',
            r'"\"\\\/\b\f\n\r\t\u0000"',
            '"\u2028\x7f\U0001f600"',
            '"}"',
            '"{,:["',
            '""',
        ]
    ),
)
NUMBER_TEXTS = some.one_of(
    some.integers(-(10**40), 10**40).map(str),
    some.sampled_from(["0", "-0", "-0.0", "1e400", "-1E+400", "1e-400", "0.10", "5E-1", "2e0"]),
)
_SCALARS = some.one_of(
    STRING_TEXTS, STRING_TEXTS, NUMBER_TEXTS, some.sampled_from(["null", "true", "false"])
)


@some.composite
def _array_texts(draw: some.DrawFn, of: SearchStrategy[str]) -> str:
    values = draw(some.lists(of, max_size=3))
    return f"[{draw(SPACES)}{','.join(draw(SPACES) + each for each in values)}{draw(SPACES)}]"


@some.composite
def object_texts(draw: some.DrawFn, of: SearchStrategy[str]) -> str:
    """Texts of JSON objects; a name may be there more than once."""
    members = [
        f"{draw(SPACES)}{name}{draw(SPACES)}:{draw(SPACES)}{draw(of)}{draw(SPACES)}"
        for name in draw(some.lists(STRING_TEXTS, max_size=3))
    ]
    return f"{{{draw(SPACES)}{','.join(members)}}}"


JSON_TEXTS: SearchStrategy[str] = some.recursive(
    _SCALARS, lambda of: some.one_of(_array_texts(of), object_texts(of)), max_leaves=6
)
