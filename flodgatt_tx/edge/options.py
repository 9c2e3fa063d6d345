"""
The command line: every variable as an option, and what only a command line can say.

Parsing reads files, and touches neither the reactor nor the network.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NoReturn

from twisted.python import usage
from typing_extensions import override

from flodgatt_tx._version import __version__
from flodgatt_tx.edge.environment import UnreadableFileError, dotenv_layer, read_secret
from flodgatt_tx.settings import OPTION, VARIABLES, Layer, Settings, SettingsError, Variable
from flodgatt_tx.settings import load as load_settings


def _parameter(variable: Variable) -> list[str | None]:
    what = f"file that holds: {variable.help}" if variable.secret else variable.help
    default = f" [{variable.default}]" if variable.default else ""
    return [variable.flag, None, None, f"{what}{default} ({variable.name})"]


class Options(usage.Options):
    """
    What `twistd flodgatt` was called with; `settings` is what follows from it.

    Options win over the environment, which wins over the dotenv file.
    """

    synopsis = "[options]"
    longdesc = "Mastodon's streaming API. Each option stands for the variable in parentheses."
    optParameters: ClassVar[list[list[str | None]]] = [
        *(_parameter(each) for each in VARIABLES if each.flag and not each.switch),
        ["env-file", None, None, "dotenv file to read instead of .env or .env.production"],
    ]
    optFlags: ClassVar[list[list[str | None]]] = [
        *([each.flag, None, f"{each.help} ({each.name})"] for each in VARIABLES if each.switch),
        ["check", None, "connect to PostgreSQL and Redis, say what is wrong, and exit"],
        ["demo", None, "start an own PostgreSQL and Redis with sample people"],
    ]

    settings: Settings
    layers: Sequence[Layer]
    extra: Layer | None = None

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        directory: Path | None = None,
        tell: Callable[[str], None] = print,
    ) -> None:
        usage.Options.__init__(self)
        self._environ = os.environ if environ is None else environ
        self._directory = Path.cwd() if directory is None else directory
        self._tell = tell
        self["listen"] = []

    def opt_listen(self, description: str) -> None:
        """where to listen, as a Twisted endpoint such as tcp:4000; may be repeated"""
        self["listen"].append(description)

    @override
    def opt_version(self) -> NoReturn:
        """print the version and exit"""
        self._tell(f"flodgatt_tx {__version__}")
        raise SystemExit(0)

    @override
    def postOptions(self) -> None:
        """Settle the settings, unless the demonstration will add to them."""
        if not self["demo"]:
            self.settings = self.load()

    def load(self) -> Settings:
        """
        Read all settings, files included; the layer `extra` wins over all others.

        :raises usage.UsageError: with all mistakes, one per line.
        """
        problems: list[str] = []
        layers = self._layers([self.extra] if self.extra else [], problems)
        try:
            settings = load_settings(layers, self["listen"], self.user)
        except SettingsError as error:
            problems.extend(error.problems)
        if problems:
            raise usage.UsageError("\n".join(problems))
        self.layers = layers
        return settings

    @property
    def user(self) -> str | None:
        """Who runs this, where a role for PostgreSQL follows from it."""
        return self._environ.get("USER")

    def _layers(self, layers: list[Layer], problems: list[str]) -> list[Layer]:
        """Add the layers that there are; what cannot be read becomes a problem."""
        layers = [*layers, self._options(problems), Layer("environment", self._environ)]
        try:
            layers.append(dotenv_layer(layers, self._directory, self["env-file"]))
        except UnreadableFileError as error:
            problems.append(str(error))
        return layers

    def _options(self, problems: list[str]) -> Layer:
        values = {}
        for variable in VARIABLES:
            if variable.flag is None or (value := self[variable.flag]) is None:
                continue
            if variable.switch:
                if value:
                    values[variable.name] = "true"
                continue
            try:
                values[variable.name] = (
                    read_secret(self._directory / value, variable.flag)
                    if variable.secret
                    else value
                )
            except UnreadableFileError as error:
                problems.append(str(error))
        return Layer(OPTION, values)
