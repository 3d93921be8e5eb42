"""Serves the class of the benchmarks with plain hypha-rpc, until it is killed. Argument: the file that holds the class.

Prints the service's id. Environment: SERVER_URL, TOKEN.
"""

import asyncio
import importlib.util
import logging
import os
import sys
import types

logging.basicConfig(stream=sys.stderr)  # before hypha_rpc chooses standard output

from hypha_rpc import connect_to_server


def load(path: str) -> type:
    """Return the class Bench; its decorator is of no meaning here."""
    serve = types.ModuleType("ray.serve")
    serve.deployment = lambda **_: lambda cls: cls
    ray = types.ModuleType("ray")
    ray.serve = serve
    sys.modules.update({"ray": ray, "ray.serve": serve})
    spec = importlib.util.spec_from_file_location("bench", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Bench


async def main(path: str) -> None:
    client = await connect_to_server(
        {"server_url": os.environ["SERVER_URL"], "token": os.environ["TOKEN"], "client_id": "plain"}
    )
    bench = load(path)()
    service = await client.register_service({"id": "bench", "config": {"visibility": "public"}, "echo": bench.echo})
    print(service["id"], flush=True)
    await asyncio.Event().wait()


asyncio.run(main(sys.argv[1]))
