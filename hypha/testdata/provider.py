"""Serves with the real hypha-rpc what the Go tests call. Prints "ready <address>"; ends with its input.

Commands on its input: "leave" disconnects, "unregister" withdraws the service; each is answered by "done".
"""

import asyncio
import os
import sys

import numpy as np
from hypha_rpc import connect_to_server

CONTEXT_KEYS = ["from", "to", "ws", "method"]


def service():
    kept = {}

    async def fail_later():
        await asyncio.sleep(0)
        raise ValueError("later")

    def fail_now():
        raise KeyError("now")

    async def run(callback, times):
        return [await callback(i) for i in range(times)]

    async def keep(callback):
        kept["callback"] = callback
        return await callback(1)

    async def call_kept():
        return await kept["callback"](2)

    def counter():
        state = {"n": 0}

        def step(by=1):
            state["n"] += by
            return state["n"]

        return step

    async def slow(seconds):
        await asyncio.sleep(seconds)
        return "done"

    async def hang_up(seconds):
        await asyncio.sleep(seconds)
        os._exit(1)

    return {
        "id": "py", "name": "Python", "config": {"visibility": "public", "require_context": ["who"]},
        "echo": lambda value: value,
        "kinds": lambda value: type(value).__name__,
        "add": lambda a, b=10: a + b,
        "total": lambda array: float(np.sum(array)),
        "ones": lambda n: np.ones(n, dtype="float32"),
        "describe": lambda array: [str(array.dtype), list(array.shape), array.tolist()],
        "who": lambda context: {key: context[key] for key in CONTEXT_KEYS},
        "fail_now": fail_now, "fail_later": fail_later, "run": run, "keep": keep, "call_kept": call_kept,
        "counter": counter, "slow": slow, "hang_up": hang_up,
        "nest": {"list": [lambda: "zero", lambda: "one"]},
        "error_value": lambda: ValueError("as a value"),
    }


async def lines():
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        yield line.strip()


async def main():
    server = await connect_to_server({
        "server_url": os.environ["HYPHA_URL"], "token": os.environ["HYPHA_TOKEN"],
        "workspace": os.environ["HYPHA_WORKSPACE"], **({"client_id": sys.argv[1]} if len(sys.argv) > 1 else {}),
    })
    await server.register_service(service())
    print("ready", f"{server.config.workspace}/{server.config.client_id}", flush=True)
    async for line in lines():
        if line == "unregister":
            await server.unregister_service("py")
        if line == "leave":
            await server.disconnect()
        print("done", flush=True)


asyncio.run(main())
