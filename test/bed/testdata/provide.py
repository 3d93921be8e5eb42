"""Serve an echo until stdin ends; prints the service's id when it is registered."""

import asyncio
import os
import sys

from hypha_rpc import connect_to_server


async def main() -> None:
    async with connect_to_server({"server_url": os.environ["URL"], "token": os.environ["TOKEN"]}) as server:
        service = await server.register_service({"id": "mirror", "name": "Mirror", "type": "test", "echo": lambda value: value})
        print(service["id"], flush=True)
        await asyncio.to_thread(sys.stdin.read)


asyncio.run(main())
