"""In Rails' place: about once a second something happens, and Redis hears of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from random import Random

from twisted.application.internet import ClientService, TimerService, backoffPolicy
from twisted.application.service import MultiService
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from txredisapi import RedisError, RedisProtocol

from flodgatt_tx.demo.plan import Publication, State, plan

Plan = Callable[[Random, State, datetime], list[Publication]]


class Publisher(MultiService):
    """Publishes what *plan* says, every *interval* seconds, as long as Redis is there."""

    _log = Logger()

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        clock: IReactorTime,
        random: Random,
        interval: float = 1.0,
        plan: Plan = plan,
    ) -> None:
        MultiService.__init__(self)
        self._clock = clock
        self._random = random
        self._plan = plan
        self._state = State()
        factory = Factory.forProtocol(lambda: RedisProtocol(charset=None, convertNumbers=False))
        factory.noisy = False
        retries = backoffPolicy(initialDelay=0.1, maxDelay=2.0)
        self._client = ClientService(endpoint, factory, retryPolicy=retries, clock=clock)
        self._client.setServiceParent(self)
        timer = TimerService(interval, self._turn)
        timer.clock = clock
        timer.setServiceParent(self)

    def _turn(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._publish())

    async def _publish(self) -> None:
        try:
            redis: RedisProtocol = await self._client.whenConnected()
            now = datetime.fromtimestamp(self._clock.seconds(), UTC)
            for publication in self._plan(self._random, self._state, now):
                if await self._is_wanted(redis, publication):
                    await redis.publish(publication.channel, publication.message)
        except CancelledError:
            # The service stops while Redis is away.
            return
        except RedisError as error:
            # ClientService connects again; what was to be said now is lost, as it is with Rails.
            self._log.warn("nothing published: {error}", error=error)

    async def _is_wanted(self, redis: RedisProtocol, publication: Publication) -> bool:
        if not publication.gates:
            return True
        for key in publication.gates:
            if await redis.exists(key):
                return True
        return False
