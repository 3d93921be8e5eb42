"""Calls the echo service of a Go client with the real hypha-rpc. Usage: caller.py SCENARIO SERVICE_ID."""

import asyncio
import math
import os
import sys

import numpy as np
from hypha_rpc import connect_to_server


async def values(svc, server):
    cases = [
        None, True, False, 0, 1, -1, 127, 128, 255, 256, 65535, 65536, -32, -33, -128, -129, -32768, -32769,
        2**31, -(2**31) - 1, 2**63 - 1, -(2**63), 2**64 - 1, 0.0, -1.5, 1e300, math.inf, "", "ü € 😀 𝄞", "x" * 70000,
        b"", b"\x00\xff" * 100, [], {}, [[], [[]], {}], {"a": {"b": [1, {"c": None}]}}, list(range(1000)),
        {str(i): i for i in range(100)},
    ]
    for case in cases:
        got = await svc.echo(case)
        assert got == case and isinstance(got, type(case)), (case, got)
    assert math.isnan(await svc.echo(math.nan))
    assert await svc.echo((1, 2)) == [1, 2]
    view = await svc.echo(memoryview(b"abc"))
    assert bytes(view) == b"abc", view
    got = await svc.echo({1, 2})
    assert got == {1, 2}, got


async def numpy(svc, server):
    for dtype in ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64", "complex64"]:
        array = np.arange(24).reshape(2, 3, 4).astype(dtype)
        got = await svc.echo(array)
        assert got.dtype == array.dtype and got.shape == array.shape and (got == array).all(), (array, got)
    for array in [np.array(5.0), np.zeros((0, 3)), np.arange(100).reshape(10, 10)[::2, ::3], np.array(["a", "bcd"])]:
        got = await svc.echo(array)
        assert got.dtype == array.dtype and got.shape == array.shape and (got == array).all(), (array, got)
    for size in [40_000, 640_000, 5_000_000]:
        array = np.random.default_rng(0).random(size // 8)
        assert (await svc.echo(array) == array).all()
    several = await asyncio.gather(*[svc.echo(np.full(600_000, float(i))) for i in range(4)])
    assert [a[0] for a in several] == [0, 1, 2, 3]


async def arguments(svc, server):
    assert await svc.add(1) == 11
    assert await svc.add(1, 2) == 3
    assert await svc.add(1, b=5) == 6
    assert await svc.add(a=2, b=5) == 7
    assert await svc.add(2, context={"user": "me"}) == 12
    assert await svc.add("3", "4") == 7
    for call, text in [
        (lambda: svc.add(), "TypeError: Missing required argument: 'a'"),
        (lambda: svc.add(1, 2, 3), "TypeError: add() takes 2 positional arguments but 3 were given"),
        (lambda: svc.add(1, c=3), "TypeError: add() got an unexpected keyword argument 'c'"),
        (lambda: svc.add(1, a=3), "TypeError: add() got multiple values for argument 'a'"),
    ]:
        await refused(call, text)


async def refused(call, text):
    try:
        result = await call()
    except Exception as error:
        assert text in str(error), (text, str(error))
        return str(error)
    raise AssertionError(f"not refused: {result!r}")


async def errors(svc, server):
    for name in ["ValueError", "KeyError", "PermissionError"]:
        text = await refused(lambda: svc.fail(name), f"{name}: as you wish")
        assert text.strip().splitlines()[-1] == f"{name}: as you wish", text
    await refused(lambda: svc.fail(), "RuntimeError: plain failure")
    proxy = await server.rpc.get_remote_service(svc.id)
    address = svc.id.rsplit(":", 1)[0]
    method = server.rpc._generate_remote_method({"_rtarget": address, "_rmethod": "services.echo.gone", "_rpromise": True})
    await refused(lambda: method(1), "Method expired or not found: ")
    method = server.rpc._generate_remote_method({"_rtarget": address, "_rmethod": "no-such-session.x", "_rpromise": True})
    await refused(lambda: method(1), "Session not found: ")
    await refused(lambda: server.get_service(address + ":nothing"), "KeyError")
    assert await proxy.add(1) == 11


async def callbacks(svc, server):
    seen = []

    def sync(i):
        seen.append(i)
        return i * 2

    assert await svc.progress(sync, 20) == 38
    assert seen == list(range(20)), seen

    async def later(i):
        await asyncio.sleep(0.001)
        return i + 1

    assert await svc.progress(later, times=3) == 3

    def bad(i):
        raise ValueError("from the callback")

    await refused(lambda: svc.progress(bad), "from the callback")
    big = np.ones(100_000)

    def same(x):
        return x

    assert (await svc.apply(same, big) == big).all()
    assert await asyncio.gather(*[svc.apply(same, i) for i in range(50)]) == list(range(50))


async def returned_functions(svc, server):
    one, two = (await svc.counter())["next"], (await svc.counter())["next"]
    assert [await one(), await one(), await one(step=5)] == [1, 2, 7]
    assert await two() == 1


async def nested(svc, server):
    assert await svc.nest.deep.hello() == "hello you"
    assert await svc.nest.deep.hello(name="x") == "hello x"


async def context(svc, server):
    me = await svc.whoami()
    assert me["from"] == f"{server.config.workspace}/{server.config.client_id}", me
    assert me["ws"] == server.config.workspace
    assert me["id"] == server.config.user["id"] and me["email"] == server.config.user["email"], me
    raw = me["raw"]
    assert raw["connection_type"] == "websocket" and raw["user"]["id"] == me["id"], raw
    assert raw["method"] == "services.echo.whoami" and raw["to"] == svc.id.split(":")[0]


async def schema(svc, server):
    listed = [s for s in await server.list_services() if s["id"] == svc.id]
    assert len(listed) == 1, listed
    record = listed[0]
    assert record["config"]["color"] == "blue" and record["description"] == "gives back what it gets"
    function = record["service_schema"]["add"]["function"]
    assert record["service_schema"]["add"]["type"] == "function"
    assert function["name"] == "add" and function["description"] == "Add two numbers."
    assert function["parameters"] == {
        "type": "object", "required": ["a"],
        "properties": {
            "a": {"type": "integer", "description": "the first"},
            "b": {"type": "integer", "description": "the second", "default": 10},
        },
    }, function
    assert record["service_schema"]["nest"]["deep"]["hello"]["function"]["name"] == "hello"
    assert svc.add.__schema__["parameters"] == function["parameters"], svc.add.__schema__
    assert svc.add.__doc__.startswith("Add two numbers."), svc.add.__doc__


async def long_call(svc, server):
    short = await connect(method_timeout=2)
    quick = await short.get_service(svc.id)
    assert await quick.slow(5) == "done"
    await short.disconnect()


async def large(svc, server):
    for size in [262_144, 300_000, 5_000_000, 20_000_000]:
        data = os.urandom(size)
        assert await svc.echo(data) == data, size


async def large_result(svc, server):
    data = await svc.big(3_000_000)
    assert data == bytes(i * 7 % 256 for i in range(3_000_000))


async def description(svc, server):
    assert svc.id.endswith(":echo") and svc.name == "echo" and svc.type == "generic"
    assert svc.config["workspace"] == svc.id.split("/")[0]
    assert svc.config["url"].endswith("/services/" + svc.id.split("/")[1]), svc.config
    address = svc.id.rsplit(":", 1)[0]
    assert await server.ping(address.split("/")[1]) == "pong"


async def direct(svc, server):
    proxy = await server.rpc.get_remote_service(svc.id)
    assert await proxy.add(1, 2) == 3
    builtin = await server.rpc.get_remote_service(svc.id.rsplit(":", 1)[0] + ":built-in")
    assert builtin.config["api_version"] == 3 and await builtin.ping("ping") == "pong"


async def concurrent(svc, server):
    async def one(i):
        if i % 7 == 0:
            await refused(lambda: svc.fail("ValueError"), "ValueError")
            return i
        return await svc.echo(i)

    assert await asyncio.gather(*[one(i) for i in range(300)]) == list(range(300))


async def connect(**options):
    return await connect_to_server({
        "server_url": os.environ["HYPHA_URL"], "token": os.environ["HYPHA_TOKEN"],
        "workspace": os.environ["HYPHA_WORKSPACE"], **options,
    })


async def main(scenario: str, service: str) -> None:
    server = await connect()
    svc = await server.get_service(service)
    await globals()[scenario](svc, server)
    await server.disconnect()
    print("ok", scenario)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
