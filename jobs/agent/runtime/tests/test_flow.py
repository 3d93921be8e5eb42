"""Large messages: fragments, acknowledgements, and small calls beside them."""

from __future__ import annotations

import asyncio
import time

import msgpack
import numpy as np

from agent import ADDRESS
from bioengine_runtime import wire
from case import RuntimeCase

APP = """
    @serve.deployment
    class App:
        @schema_method
        async def make(self, size: int = Field(..., description="bytes")) -> bytes:
            "Bytes."
            print("making", size)
            return bytes(size)

        @schema_method(arbitrary_types_allowed=True)
        async def echo(self, value: object = Field(..., description="Anything")) -> object:
            "Give it back."
            return value

        @schema_method
        async def ping(self) -> str:
            "Answer."
            return "pong"
"""


class Flow(RuntimeCase):
    def raw(self, agent, method: str, session: str, *args) -> None:
        main = {"type": "method", "from": "w/raw", "to": ADDRESS, "method": f"services.hello-app.{method}", "session": session}
        extra = {"args": list(args), "promise": "*", "t": 30}
        agent.send(wire.HYPHA, msgpack.packb(main) + msgpack.packb(extra), f"w/raw\0{session}".encode(), wire.OPENS)

    async def test_at_most_four_fragments_leave_without_acknowledgement(self):
        agent = await self.launch(ack=False)
        from case import HEADER
        import textwrap
        agent.start({"app.py": HEADER + textwrap.dedent(APP)}, "app", "App")
        await agent.next("ready")
        self.raw(agent, "make", "large", 40 * 1024 * 1024)
        await agent.line("stdout", "making")
        for n in range(20):  # small results pass the waiting large one
            self.raw(agent, "ping", f"small{n}")
            self.assertEqual((await agent.hypha.get()).head, f"w/raw\0small{n}".encode())
        large = [f for f in agent.frames if f[0] == wire.HYPHA and f[3] > 100_000]
        self.assertEqual(len(large), 4)
        id = large[0][2]
        agent.raw(wire.bare_frame(wire.ACK, id, bytes([wire.HYPHA])))
        self.raw(agent, "ping", "after")
        await agent.hypha.get()
        self.assertEqual(len([f for f in agent.frames if f[2] == id and f[3] > 100_000]), 5)
        agent.ack = True
        for _ in range(4):
            agent.raw(wire.bare_frame(wire.ACK, id, bytes([wire.HYPHA])))
        message = await agent.hypha.get()
        self.assertEqual((message.head, message.flags & wire.ENDS), (b"w/raw\0large", wire.ENDS))
        self.assertGreater(len(message.data), 40 * 1024 * 1024)
        flags = [f[1] for f in agent.frames if f[2] == id and f[0] == wire.HYPHA]
        self.assertEqual((flags[0], flags[-1]), (wire.FIRST | wire.ENDS, wire.LAST))
        self.assertEqual(set(flags[1:-1]), {0})

    async def test_small_calls_go_on_beside_a_large_result(self):
        agent, service = await self.serve(APP)
        large = asyncio.ensure_future(service.make(40 * 1024 * 1024))
        worst, calls = 0.0, 0
        while not large.done():
            began = time.monotonic()
            self.assertEqual(await service.ping(), "pong")
            worst, calls = max(worst, time.monotonic() - began), calls + 1
        self.assertEqual(len(await large), 40 * 1024 * 1024)
        self.assertGreater(calls, 3)
        self.assertLess(worst, 5.0)

    async def test_several_large_values_both_ways_at_once(self):
        agent, service = await self.serve(APP)
        arrays = [np.random.default_rng(n).random(700_000) for n in range(4)]
        backs = await asyncio.gather(*[service.echo(a) for a in arrays])
        for array, back in zip(arrays, backs):
            np.testing.assert_array_equal(array, back)

    async def test_more_large_results_than_may_be_under_way(self):
        agent, service = await self.serve(APP)
        results = await asyncio.gather(*[service.make(300_000) for _ in range(150)])
        self.assertEqual({len(r) for r in results}, {300_000})

    async def test_a_result_above_the_limit_is_an_error(self):
        agent, service = await self.serve(APP)
        with self.assertRaisesRegex(Exception, "ValueError: a message of 268.* bytes exceeds the limit of 268435456"):
            await service.make(256 * 1024 * 1024)
        self.assertEqual(await service.ping(), "pong")
        self.assertEqual(len(self.caller.ends), 2)
