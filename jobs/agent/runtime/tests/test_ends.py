"""Each accepted call ends exactly once, whatever happens to it."""

from __future__ import annotations

import asyncio

import msgpack

from agent import ADDRESS, TIMEOUT
from bioengine_runtime import frames, rpc, wire
from case import RuntimeCase

APP = """
    @serve.deployment
    class App:
        def __init__(self):
            self.log = []

        @schema_method
        async def sleep(self, seconds: float = Field(..., description="s")) -> str:
            "Sleep."
            self.log.append("started")
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                self.log.append("cancelled")
                raise
            return "slept"

        @schema_method
        async def stubborn(self) -> str:
            "Ignore cancellation."
            self.log.append("started")
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                return "answered anyway"

        @schema_method
        async def give_up(self) -> None:
            "Cancel itself."
            raise asyncio.CancelledError()

        @schema_method
        async def returns_give_up(self) -> object:
            "A function that cancels itself."
            async def give_up():
                raise asyncio.CancelledError()
            return give_up

        @schema_method
        async def block(self, seconds: float = Field(..., description="s")) -> str:
            "Block the loop."
            print("blocking")
            time.sleep(seconds)
            return "blocked"

        @schema_method
        def block_thread(self, seconds: float = Field(..., description="s")) -> str:
            "Block a thread."
            time.sleep(seconds)
            return "blocked"

        @schema_method
        async def sessions(self) -> int:
            "How many sessions RPC keeps."
            import gc
            from hypha_rpc.rpc import RPC
            return max(r.get_session_stats()["total_sessions"] for r in gc.get_objects() if type(r) is RPC)

        @schema_method
        async def call(self, function: object = Field(..., description="f")) -> int:
            "Call back."
            return await function(1)

        @schema_method
        async def seen(self) -> list:
            "What happened."
            return self.log
"""


class Ends(RuntimeCase):
    def keys(self, agent, method: str, session: str, **extra) -> bytes:
        """Send a raw call and return its key."""
        main = {"type": "method", "from": "w/raw", "to": ADDRESS, "method": method, "session": session,
                "ws": "w", **extra.pop("main", {})}
        key = f"w/raw\0{session}".encode()
        body = {"args": [], "promise": "*", "t": 10, **extra}
        agent.send(wire.HYPHA, msgpack.packb(main) + msgpack.packb(body), key, wire.OPENS)
        return key

    async def answer(self, agent) -> tuple[bytes, str, object]:
        """Key, member and argument of the next frame, which must end a call."""
        message = await asyncio.wait_for(agent.hypha.get(), TIMEOUT)
        self.assertTrue(message.flags & wire.ENDS)
        main, size = frames.routing(message.data)
        argument = frames.payload(message.data, size)["args"][0]
        return message.head, main["method"].rpartition(".")[2], argument

    async def started(self, agent) -> None:
        """Wait until a method runs: a call cancelled before would not reach its code at all."""
        log: object = []
        while not log:
            self.keys(agent, "services.hello-app.seen", "look")
            log = (await self.answer(agent))[2]

    async def ready_agent(self):
        agent = await self.begin(APP)
        await agent.next("ready")
        return agent

    async def test_a_cancelled_call_stops_its_method(self):
        agent = await self.ready_agent()
        key = self.keys(agent, "services.hello-app.sleep", "s1", args=[60])
        await self.started(agent)
        agent.tell(type="cancel", call=key.decode())
        got, member, error = await self.answer(agent)
        self.assertEqual((got, member), (key, "reject"))
        self.assertIn("CancelledError: the call was cancelled", error["_rvalue"])
        self.keys(agent, "services.hello-app.seen", "s2")
        self.assertEqual((await self.answer(agent))[2], ["started", "cancelled"])

    async def test_a_method_may_answer_although_it_was_cancelled(self):
        agent = await self.ready_agent()
        key = self.keys(agent, "services.hello-app.stubborn", "s1")
        await self.started(agent)
        agent.tell(type="cancel", call=key.decode())
        self.assertEqual(await self.answer(agent), (key, "resolve", "answered anyway"))

    async def test_calls_that_cancel_themselves_end_with_an_error(self):
        agent, service = await self.serve(APP)
        with self.assertRaisesRegex(Exception, "CancelledError"):
            await service.give_up()
        with self.assertRaisesRegex(Exception, "CancelledError"):
            await (await service.returns_give_up())()
        self.assertEqual(len(self.caller.ends), len(set(self.caller.ends)))

    async def test_a_blocked_thread_ends_its_call_when_cancelled(self):
        agent = await self.ready_agent()
        key = self.keys(agent, "services.hello-app.block_thread", "s1", args=[30])
        agent.tell(type="cancel", call=key.decode())
        self.assertEqual((await self.answer(agent))[:2], (key, "reject"))

    async def test_odd_promises_are_answered_at_the_callers_session(self):
        agent = await self.ready_agent()
        elsewhere = {"_rtype": "method", "_rtarget": "w/victim", "_rmethod": "v.resolve", "_rpromise": False}
        promises = {
            "a": {"resolve": elsewhere, "reject": elsewhere, "interval": 1},
            "b": None, "c": 7, "d": {"resolve": 1}, "e": [], "f": True,
        }
        for session, promise in promises.items():
            with self.subTest(promise=promise):
                key = self.keys(agent, "services.hello-app.seen", session, promise=promise, t="soon")
                self.assertEqual(await self.answer(agent), (key, "resolve", []))

    async def test_frames_that_cannot_be_read_end_their_call(self):
        agent = await self.ready_agent()
        main = msgpack.packb({"type": "method", "from": "w/raw", "to": ADDRESS, "method": "services.hello-app.seen",
                              "session": "s1"})
        for data in (b"", b"\xc1", b"\x93\x01", main[:9], main + b"\xc1", main + b"\x01",
                     msgpack.packb({"type": "method"}), msgpack.packb([1]), main + msgpack.packb({"args": 5}),
                     main + msgpack.packb({"args": [], "with_kwargs": True})):
            with self.subTest(data=data):
                agent.send(wire.HYPHA, data, b"w/raw\0s1", wire.OPENS)
                self.assertEqual((await self.answer(agent))[:2], (b"w/raw\0s1", "reject"))

    async def test_a_call_whose_rest_does_not_come_ends(self):
        agent = await self.ready_agent()
        first = wire.Outgoing(wire.HYPHA, 900, wire.OPENS, b"w/raw\0s1", [bytes(wire.FRAGMENT_BYTES * 2)]).next_frame()
        agent.raw(b"".join(first))
        agent.send(wire.ABORT, b"ReplicaLost: the link broke", bytes([wire.HYPHA]), id=900)
        key, member, error = await self.answer(agent)
        self.assertEqual((key, member), (b"w/raw\0s1", "reject"))
        self.assertIn("ReplicaLost: the link broke", error["_rvalue"])

    async def test_a_second_call_of_an_open_session_is_dropped(self):
        agent = await self.ready_agent()
        key = self.keys(agent, "services.hello-app.sleep", "s1", args=[0.3])
        self.keys(agent, "services.hello-app.seen", "s1")
        self.assertEqual(await self.answer(agent), (key, "resolve", "slept"))
        self.assertTrue(agent.hypha.empty())

    async def test_a_blocked_loop_loses_nothing(self):
        agent, service = await self.serve(APP)
        blocked = asyncio.ensure_future(service.block(1.0))
        await agent.line("stdout", "blocking")
        others = [asyncio.ensure_future(service.sleep(0)) for _ in range(200)]
        agent.tell(type="health", id=4)
        self.assertEqual(await blocked, "blocked")
        self.assertEqual(await asyncio.gather(*others), ["slept"] * 200)
        self.assertEqual(await agent.next("health"), {"type": "health", "id": 4, "ok": True})
        self.assertEqual((len(self.caller.ends), len(set(self.caller.ends))), (201, 201))

    async def test_calls_leave_no_sessions(self):
        agent, service = await self.serve(APP)

        async def use(times: int) -> int:
            for _ in range(times):
                await service.sleep(0)
                await service.call(lambda x: x)
                with self.assertRaises(Exception):
                    await service.give_up()
            return await service.sessions()

        first, last = await use(5), await use(40)
        if tuple(map(int, rpc.version().split("."))) >= (0, 20, 98):  # older ones leak by themselves
            self.assertLessEqual(last, first)

    async def test_heartbeats_keep_a_long_call_alive(self):
        agent = await self.begin(APP)
        ready = await agent.next("ready")
        caller = self.client(agent, "hasty", timeout=2)[0]
        self.assertEqual(await caller.service(ready).sleep(3.5), "slept")
        self.assertGreaterEqual(caller.members.count("heartbeat"), 3)
