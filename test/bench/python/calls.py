"""Calls two services of the same class in turns, A B B A, so that what else the machine does meets both.

Arguments: what to measure, the two service ids, seconds. Prints JSON: for each service in their order its samples.
Environment: SERVER_URL, TOKEN. Any call that fails ends the program with an error.

    small   one call after the other with a number: milliseconds of each call
    load    32 callers at once: calls per second of each turn
    array   a 5 MiB array of random floats there and back: milliseconds of each call
"""

import asyncio
import itertools
import json
import logging
import os
import sys
import time
from typing import Any, Awaitable, Callable

logging.basicConfig(stream=sys.stderr)  # before hypha_rpc chooses standard output

import numpy as np
from hypha_rpc import connect_to_server

Turn = Callable[[Any], Awaitable[list[float]]]
CALLERS = 32
SMALL_CALLS = 25  # per turn
LOAD_SECONDS = 2.0  # per turn


async def timed(service: Any, value: Any) -> float:
    """Call once and return the milliseconds."""
    begun = time.perf_counter()
    answer = await service.echo(value)
    took = (time.perf_counter() - begun) * 1000
    if not np.array_equal(answer, value):
        raise SystemExit("the answer is not what was sent")
    return took


async def small(service: Any) -> list[float]:
    return [await timed(service, i) for i in range(SMALL_CALLS)]


async def load(service: Any) -> list[float]:
    begun = time.perf_counter()

    async def caller() -> int:
        for calls in itertools.count():
            if time.perf_counter() - begun > LOAD_SECONDS:
                return calls
            await service.echo(calls)

    calls = await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return [sum(calls) / (time.perf_counter() - begun)]


ARRAY = np.random.default_rng(1).random(5 * 2**20 // 4, dtype="float32")


async def array(service: Any) -> list[float]:
    return [await timed(service, ARRAY)]


async def main(turn: Turn, ids: list[str], seconds: float) -> None:
    client = await connect_to_server({"server_url": os.environ["SERVER_URL"], "token": os.environ["TOKEN"]})
    services = [await client.get_service(id) for id in ids]
    for service in services:
        await turn(service)  # warm, not counted
    samples: list[list[float]] = [[] for _ in services]
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds:
        for i in (0, 1, 1, 0):
            samples[i] += await turn(services[i])
    print(json.dumps([[round(sample, 3) for sample in of] for of in samples]))
    await client.disconnect()


asyncio.run(main({"small": small, "load": load, "array": array}[sys.argv[1]], sys.argv[2:4], float(sys.argv[4])))
