"""Calls an application through the relay with the real hypha-rpc. Usage: caller.py SCENARIO SERVICE_ID."""

import asyncio
import collections
import json
import os
import sys
import time

import numpy as np
from hypha_rpc import connect_to_server

LOST = "ReplicaLost: the replica that ran this call has gone"


async def refused(call, text):
    try:
        result = await call
    except Exception as error:
        assert text in str(error), (text, str(error))
        return
    raise AssertionError(f"not refused: {result!r}")


async def shared(svc, server):
    """100 calls at once run on both replicas."""
    tags = collections.Counter(await asyncio.gather(*[svc.where() for _ in range(100)]))
    assert len(tags) == 2 and sum(tags.values()) == 100 and min(tags.values()) >= 40, tags


async def values(svc, server):
    for value in [None, True, -1, 2**63, 1.5, "ü", b"\x00\xff", [1, [2]], {"a": {"b": None}}, "x" * 300_000]:
        assert await svc.echo(value) == value, value
    for n in [10, 100_000, 700_000]:
        array = np.random.default_rng(n).random(n)
        assert (await svc.echo(array) == array).all(), n
    arrays = [np.full(300_000, float(i)) for i in range(4)]
    assert [a[0] for a in await asyncio.gather(*[svc.echo(a) for a in arrays])] == [0, 1, 2, 3]


async def callbacks(svc, server):
    seen = []

    async def progress(i):
        seen.append(i)
        return i * 2

    assert await svc.report(progress) == [0, 2, 4]
    assert seen == [0, 1, 2], seen


async def crash(svc, server):
    """100 calls hang in two replicas; one of them is killed, the other answers."""
    proxies = [svc, await server.rpc.get_remote_service(svc.id)]
    results = await asyncio.gather(*[proxies[i % 2].hang(i) for i in range(100)], return_exceptions=True)
    lost = [i for i, r in enumerate(results) if isinstance(r, Exception) and LOST in str(r)]
    done = [i for i, r in enumerate(results) if r == i]
    assert len(lost) + len(done) == 100 and len(lost) == 50, results
    assert await svc.echo("after") == "after"
    print(json.dumps(lost))


async def blip(svc, server):
    """The link of the replica breaks while calls run, and comes back."""
    results = await asyncio.gather(*[svc.hang(i) for i in range(20)], return_exceptions=True)
    assert results == list(range(20)), results


async def patience(svc, server):
    """A call of 8 s and calls in line behind it outlive a time-out of 3 s."""
    impatient = await connect(method_timeout=3)
    svc = await impatient.get_service(svc.id)
    start = time.monotonic()
    results = await asyncio.gather(svc.sleep(8), svc.sleep(0), svc.sleep(0))
    assert results == [8, 0, 0] and time.monotonic() - start > 7.9
    await impatient.disconnect()


async def full(svc, server):
    """One call runs, five wait, four are too many."""
    text = "RuntimeError: Application 'demo' has reached its maximum of 1 concurrent requests. Please try again in a moment."
    results = await asyncio.gather(*[svc.sleep(1) for _ in range(10)], return_exceptions=True)
    assert results.count(1) == 6, results
    assert sum(text in str(r) for r in results) == 4, results


async def leaves(svc, server):
    """Is killed with its call open."""
    await svc.hang(0)


async def stranger(svc, server):
    await refused(svc.echo(1), "PermissionError: User 'relay-stranger' is not authorized")
    assert await svc.get_load() == 0


async def connect(**options):
    return await connect_to_server({
        "server_url": os.environ["HYPHA_URL"], "token": os.environ["HYPHA_TOKEN"],
        "workspace": os.environ["HYPHA_WORKSPACE"], **options,
    })


async def main(scenario: str, service: str) -> None:
    server = await connect()
    await globals()[scenario](await server.get_service(service), server)
    await server.disconnect()
    print("ok", scenario)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
