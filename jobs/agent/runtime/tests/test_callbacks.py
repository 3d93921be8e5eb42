"""Functions and generators as values, in both directions."""

from __future__ import annotations

import asyncio

from agent import TAG
from case import RuntimeCase

APP = """
    @serve.deployment
    class App:
        def __init__(self):
            self.closed = False

        @schema_method
        async def count(self, callback: object = Field(..., description="f"), n: int = Field(5, description="n")) -> list:
            "Call back."
            return [await callback(i) for i in range(n)]

        @schema_method
        def count_in_thread(self, options: dict = Field(..., description="with f inside")) -> list:
            "Call back from a thread."
            return [options["callback"](i).result(5) for i in range(3)]

        @schema_method
        async def counter(self) -> object:
            "Return a function that remembers."
            state = [0]
            async def step(by=1):
                state[0] += by
                return state[0]
            return step

        @schema_method
        async def numbers(self, n: int = Field(3, description="n")) -> object:
            "An async generator."
            async def generate():
                try:
                    for i in range(n):
                        yield i
                finally:
                    self.closed = True
            return generate()

        @schema_method
        def letters(self) -> object:
            "A plain generator."
            yield from "abc"

        @schema_method
        async def was_closed(self) -> bool:
            "Whether the generator has ended."
            return self.closed
"""


class Callbacks(RuntimeCase):
    async def test_callbacks_are_called_in_order(self):
        _, service = await self.serve(APP)
        seen = []

        async def square(x):
            seen.append(x)
            return x * x

        self.assertEqual(await service.count(square), [0, 1, 4, 9, 16])
        self.assertEqual(await service.count(lambda x: -x, 2), [0, -1])
        self.assertEqual(seen, [0, 1, 2, 3, 4])

    async def test_an_error_in_a_callback_reaches_the_method_and_the_caller(self):
        _, service = await self.serve(APP)

        async def broken(x):
            raise LookupError("not here")

        with self.assertRaisesRegex(Exception, "LookupError: not here"):
            await service.count(broken)

    async def test_plain_methods_call_back_from_their_thread(self):
        _, service = await self.serve(APP)

        async def double(x):
            return 2 * x

        self.assertEqual(await service.count_in_thread({"callback": double}), [0, 2, 4])

    async def test_a_returned_function_keeps_its_state(self):
        agent, service = await self.serve(APP)
        step = await service.counter()
        self.assertTrue(step.__rpc_object__["_rmethod"].startswith(TAG + "-"))
        self.assertEqual([await step(), await step(5), await step(by=2)], [1, 6, 8])

    async def test_generators_are_read_to_their_end(self):
        _, service = await self.serve(APP)
        self.assertEqual([i async for i in await service.numbers(4)], [0, 1, 2, 3])
        self.assertEqual([c async for c in await service.letters()], ["a", "b", "c"])

    async def test_a_returned_function_dies_with_its_caller(self):
        agent, service = await self.serve(APP)
        step = await service.counter()
        self.assertEqual(await step(), 1)
        agent.tell(type="peer_gone", peer=self.caller.address)
        with self.assertRaisesRegex(Exception, "Session not found"):
            await step()
        self.assertEqual(await (await service.counter())(), 1)

    async def test_nobody_else_may_call_a_returned_function(self):
        agent = await self.begin(APP)
        ready = await agent.next("ready")
        owner, thief = self.client(agent, "owner", "thief")
        step = await owner.service(ready).counter()
        stolen = thief.rpc._decode(dict(step.__rpc_object__), local_workspace="ws-other")
        with self.assertRaisesRegex(Exception, "PermissionError: Access denied"):
            await stolen()
        self.assertEqual(await step(), 1)

    async def test_a_gone_caller_does_not_stop_the_others(self):
        agent, service = await self.serve(APP)
        waiting = asyncio.Event()

        async def never(x):
            waiting.set()
            await asyncio.Event().wait()

        lost = asyncio.ensure_future(service.count(never))
        await waiting.wait()
        agent.tell(type="peer_gone", peer=self.caller.address)
        with self.assertRaisesRegex(Exception, "Client disconnected|CancelledError"):
            await lost
        self.assertEqual(await service.count(lambda x: x, 2), [0, 1])
