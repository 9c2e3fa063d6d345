"""
Looking variables up in layers: options, environment, dotenv file.

A `Lookup` goes on after a mistake, so that an administrator reads all of them at once, and it
remembers what was found where.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from flodgatt_tx.variables import VARIABLES

OPTION = "option"
DEFAULT = "default"
HIDDEN = "***"
_SECRETS = frozenset(variable.name for variable in VARIABLES if variable.secret)


@dataclass(frozen=True, slots=True)
class Layer:
    """Variables that come from one place; *origin* names it."""

    origin: str
    values: Mapping[str, str] = field(repr=False)


class SettingsError(ValueError):
    """What was set cannot be used; *problems* holds one sentence for each mistake."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class Lookup:
    """
    Reads variables from *layers*, of which the first that has a variable decides.

    An empty value hides those of later layers, too, as it does for Node; then it counts as unset.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = layers
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.effective: dict[str, tuple[str, str]] = {}

    def find(self, name: str) -> tuple[str | None, str]:
        """Return the value of a variable as it was given, and where that was."""
        for layer in self._layers:
            if name in layer.values:
                return layer.values[name], layer.origin
        return None, DEFAULT

    def text(self, *names: str, default: str = "", blank: bool = False) -> str:
        """
        Return the first of these variables that is set, else *default*.

        With *blank* an empty value is a value.
        """
        for name in names:
            value, origin = self.find(name)
            if value or (blank and value is not None):
                self.show(name, HIDDEN if value and name in _SECRETS else value, origin)
                return value
        self.show(names[0], HIDDEN if default and names[0] in _SECRETS else default, DEFAULT)
        return default

    def number(self, *names: str, default: int, least: int = 0, most: int) -> int:
        """Return a whole number from *least* to *most*."""
        text = self.text(*names, default=str(default))
        # int() would also take other scripts' digits, signs and underscores.
        if re.fullmatch(r"\s*[0-9]{1,20}\s*", text) and least <= int(text) <= most:
            return int(text)
        self.refuse(names, f"expected a number from {least} to {most}")
        return default

    def choice(self, *names: str, default: str, among: Collection[str]) -> str:
        """Return one of the words in *among*."""
        text = self.text(*names, default=default)
        if text not in among:
            self.refuse(names, f"expected one of {', '.join(among)}")
        return text

    def refuse(self, names: Sequence[str], expected: str) -> None:
        """Take note that the one of these variables that is set is not what was *expected*."""
        name = next((name for name in names if self.find(name)[0]), names[0])
        value, origin = self.find(name)
        given = "" if name in _SECRETS or value is None else f", not {value!r}"
        self.problems.append(f"{name} ({origin}): {expected}{given}")

    def show(self, name: str, value: str, origin: str | None = None) -> None:
        """Take note of a value that may be shown; without *origin*, of where it was found."""
        self.effective[name] = (value, self.find(name)[1] if origin is None else origin)

    def overruled(self, by: str, names: Sequence[str]) -> None:
        """Warn of those of these variables that are set in vain."""
        if vain := [name for name in names if self.find(name)[0]]:
            self.warnings.append(f"no effect, since {by} is set: {', '.join(vain)}")
