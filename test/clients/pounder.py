"""Keeps calls in flight over controller restarts and accounts for each. Arguments: service id, callers.

Prints "ready" once the first call was answered, then works until a line comes on standard input, and prints a JSON summary:
each call ended in one answer, one error, or is missing (which must not happen).
"""

import asyncio
import json
import os
import sys
from collections import Counter

from hypha_rpc import connect_to_server


async def main(service_id: str, callers: int) -> None:
    client = await connect_to_server({"server_url": os.environ["SERVER_URL"], "token": os.environ["TOKEN"], "method_timeout": 20})
    service = await client.get_service(service_id)
    stop = asyncio.Event()
    tally: Counter = Counter()
    errors: Counter = Counter()
    longest = 0.0

    async def caller(n: int) -> None:
        nonlocal service, longest
        i = 0
        while not stop.is_set():
            i += 1
            name = f"{n}-{i}"
            begun = asyncio.get_running_loop().time()
            tally["started"] += 1
            try:
                answer = await service.echo(value=name)
                tally["right" if answer == name else "wrong"] += 1
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - every error is counted
                tally["errors"] += 1
                errors[str(error).strip().splitlines()[-1][:160]] += 1
                await asyncio.sleep(0.2)
            longest = max(longest, asyncio.get_running_loop().time() - begun)
            await asyncio.sleep(0.02)

    assert await service.echo(value="first") == "first"
    print("ready", flush=True)
    tasks = [asyncio.create_task(caller(n)) for n in range(callers)]
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    stop.set()
    _, pending = await asyncio.wait(tasks, timeout=60)
    print(json.dumps({**tally, "hanging": len(pending), "longest": round(longest, 2), "kinds": errors}), flush=True)
    os._exit(0)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
