"""Calls one method of a service and prints the answer as JSON.

Arguments: service id, method, keyword arguments as JSON. Environment: SERVER_URL, TOKEN.
"""

import asyncio
import json
import os
import sys

from hypha_rpc import connect_to_server


async def main(service_id: str, method: str, arguments: str) -> None:
    client = await connect_to_server({"server_url": os.environ["SERVER_URL"], "token": os.environ["TOKEN"]})
    service = await client.get_service(service_id)
    print(json.dumps(await getattr(service, method)(**json.loads(arguments))))
    await client.disconnect()


asyncio.run(main(*sys.argv[1:4]))
