"""
Starting a server of the site again, though its guardian may not know yet that it has ended.
"""

from __future__ import annotations

import asyncio

from flodgatt_tx.demo.servers import ServerError, Servers


async def start_again(servers: Servers, name: str) -> None:
    """
    Start `redis` or `postgres`, with the port that it had.

    :raises ServerError: if it does not start.
    """
    while True:
        try:
            return await asyncio.to_thread(servers.start_server, name)
        except ServerError as error:
            if "is running" not in str(error):
                raise
            await asyncio.sleep(0.05)
