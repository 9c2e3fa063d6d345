"""
What `twistd flodgatt` runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, NoReturn

from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.task import react
from twisted.logger import Logger

from flodgatt_tx.edge.check import find_problems
from flodgatt_tx.edge.inheriting import InheritingReactor
from flodgatt_tx.edge.listeners import admin_endpoints, endpoints
from flodgatt_tx.edge.logs import LoggedService, make_observer, open_output
from flodgatt_tx.edge.options import Options
from flodgatt_tx.edge.process import raise_file_limit
from flodgatt_tx.edge.server import make_server
from flodgatt_tx.edge.trust import TrustError
from flodgatt_tx.settings import VARIABLES, Layer, Settings, described

__all__ = ["Options", "makeService"]

_log = Logger()
Fail = Callable[[str], NoReturn]
Addresses = Callable[[], list[str]]
_DEPENDENCIES = ("DATABASE_", "DB_", "PG", "REDIS_", "FLODGATT_REDIS_")


def makeService(options: Options, reactor: Any = None) -> MultiService:
    """
    Make the service that twistd runs.

    With `--check` there is none: the process ends with what was found.
    """
    if reactor is None:
        from twisted.internet import reactor
    twistd: Mapping[str, Any] = options.parent or {}
    site = _open_demo(options) if options["demo"] else None
    settings = options.settings
    if options["check"]:
        _check(settings)
    output = open_output(twistd)
    observer = make_observer(settings.log_level, output, settings.log_format) if output else None
    service = LoggedService(observer)
    service.name = "flodgatt"
    files = raise_file_limit()
    fail = _failing(twistd)
    services: list[IService]
    if settings.workers is None:
        settings = _within(settings, files)
        services, addresses = _one_process(reactor, settings, fail)
    else:
        services, addresses = _many_processes(reactor, options, output, fail)
    if site:
        services += _demo_services(reactor, site, addresses)
    for child in services:
        child.setServiceParent(service)
    reactor.callWhenRunning(_announce, settings, files)
    return service


def _one_process(reactor: Any, settings: Settings, fail: Fail) -> tuple[list[IService], Addresses]:
    try:
        server = make_server(reactor, settings, _places(reactor, settings), fail)
    except TrustError as error:
        _refuse(str(error))
    services = [*server.services, server.listeners]
    if settings.admin:
        from flodgatt_tx.admin.service import make_admin

        places = _admin_places(reactor, settings)
        services += make_admin(reactor, server.api, settings.limits, places, fail)
    return services, server.listeners.addresses


def _many_processes(
    reactor: Any, options: Options, output: IO[Any] | None, fail: Fail
) -> tuple[list[IService], Addresses]:
    from flodgatt_tx.workers.service import make_parent

    _places(reactor, options.settings)  # to refuse what is no place
    _admin_places(reactor, options.settings)
    parent = make_parent(reactor, options, output, fail)
    return [parent], parent.addresses


def _within(settings: Settings, files: int) -> Settings:
    """Derive the limits that nobody has set from what the system allows."""
    return replace(settings, limits=settings.limits.within(files, settings.database.pool))


def _places(reactor: Any, settings: Settings) -> list[tuple[str, IStreamServerEndpoint]]:
    try:
        return endpoints(
            InheritingReactor(reactor),
            settings.listen,
            settings.socket,
            settings.bind,
            settings.port,
        )
    except ValueError as error:
        _refuse(f"--listen: {error}")


def _admin_places(reactor: Any, settings: Settings) -> list[tuple[str, IStreamServerEndpoint]]:
    try:
        return admin_endpoints(InheritingReactor(reactor), settings.admin)
    except ValueError as error:
        _refuse(f"--admin: {error}")


def _refuse(message: str) -> NoReturn:
    # What is wrong with options is told by twistd only while it parses them.
    print(f"flodgatt: {message}", file=sys.__stderr__)
    raise SystemExit(1)


def _announce(settings: Settings, files: int) -> None:
    for name, value, origin in described(settings):
        _log.info("{name}={value} ({origin})", name=name, value=value, origin=origin)
    _log.info(
        "{files} files may be open, and {connections} connections",
        files=files,
        connections=settings.limits.connections or "any number of",
    )
    for warning in settings.warnings:
        # Twisted takes events with a field named "warning" for Python's warnings.
        _log.warn("{text}", text=warning)


def _failing(twistd: Mapping[str, Any]) -> Fail:
    """Say how to give up: with one line to the terminal, or as twistd's daemons report it."""

    def fail(message: str) -> NoReturn:
        if not twistd.get("nodaemon"):
            _log.critical("{message}", message=message)
            raise RuntimeError(message)
        if pidfile := twistd.get("pidfile"):
            Path(pidfile).unlink(missing_ok=True)
        # twistd has turned the other stderr into a part of the log, which may be silent.
        _refuse(message)

    return fail


def _check(settings: Settings) -> NoReturn:
    for name, value, origin in described(settings):
        print(f"{name}={value} ({origin})")
    for warning in settings.warnings:
        print(f"warning: {warning}")
    sys.stdout.flush()
    react(lambda reactor: Deferred.fromCoroutine(_report(reactor, settings)))


async def _report(reactor: Any, settings: Settings) -> None:
    problems = await find_problems(reactor, settings)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        raise SystemExit(1)
    print("Redis and PostgreSQL answer as they should.")


def _open_demo(options: Options) -> Any:
    """Start a site in a box, and let the settings point there and nowhere else."""
    from flodgatt_tx.demo.site import open_site

    site = open_site()
    elsewhere = {each.name: "" for each in VARIABLES if each.name.startswith(_DEPENDENCIES)}
    options.extra = Layer("demo", {**elsewhere, **site.environment()})
    options.settings = options.load()
    return site


def _demo_services(reactor: Any, site: Any, addresses: Addresses) -> list[IService]:
    from flodgatt_tx.demo.site import publisher, welcome

    def greet() -> None:
        # Not to `sys.stdout`, which twistd has made part of the log.
        print(welcome(addresses()[0]), file=sys.__stdout__, flush=True)

    reactor.callWhenRunning(greet)
    return [publisher(site, reactor)]
