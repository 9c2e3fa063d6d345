"""The demonstration as a whole, for `--demo`: its servers, people, publisher and greeting."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from twisted.application.service import IService
from twisted.internet.endpoints import TCP4ClientEndpoint

from flodgatt_tx.demo import servers
from flodgatt_tx.demo.publisher import Publisher
from flodgatt_tx.demo.servers import Servers
from flodgatt_tx.demo.welcome import welcome

HERE = Path(__file__).parent
SCHEMA = HERE / "schema.sql"
PEOPLE = HERE / "people.sql"

__all__ = ["PEOPLE", "SCHEMA", "open_site", "publisher", "welcome"]


def open_site() -> Servers:
    """
    Start the servers and fill the database; this blocks for about a second.

    :raises ServerError: if the servers do not start.
    """
    opened = servers.start()
    opened.create_database()
    opened.load(SCHEMA)
    opened.load(PEOPLE)
    return opened


def publisher(opened: Servers, reactor: Any, random: Random | None = None) -> IService:
    """Make the service that publishes as Rails would, to the Redis that was opened."""
    endpoint = TCP4ClientEndpoint(reactor, opened.host, opened.redis_port)
    return Publisher(endpoint, reactor, random or Random())
