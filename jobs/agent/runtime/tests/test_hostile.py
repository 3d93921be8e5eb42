"""Frames and control messages that an honest peer would not send."""

from __future__ import annotations

import textwrap

import msgpack

from agent import ADDRESS
from bioengine_runtime import frames, wire
from case import HEADER, RuntimeCase

APP = """
    SECRET = "module secret"

    @serve.deployment
    class App:
        @schema_method
        async def handle(self) -> object:
            "Return a function."
            def reader():
                return "read"
            return reader

        @schema_method
        async def ping(self) -> str:
            "Answer."
            return "pong"
"""


class Hostile(RuntimeCase):
    async def ready_agent(self):
        agent = await self.begin(APP)
        await agent.next("ready")
        return agent

    def call(self, agent, method: str, peer: str = "w/raw", **extra) -> None:
        main = {"type": "method", "from": peer, "to": ADDRESS, "method": method, "session": "s1"}
        body = {"promise": "*", "t": 10, **extra}
        agent.send(wire.HYPHA, msgpack.packb(main) + msgpack.packb(body), f"{peer}\0s1".encode(), wire.OPENS)

    async def answer(self, agent) -> tuple[str, str, object]:
        """Receiver, member and argument of the next frame."""
        message = await agent.hypha.get()
        main, size = frames.routing(message.data)
        argument = frames.payload(message.data, size)["args"][0]
        return main["to"], main["method"].rpartition(".")[2], argument

    async def test_attributes_of_functions_cannot_be_reached(self):
        agent, service = await self.serve(APP)
        function = await service.handle()
        path = function.__rpc_object__["_rmethod"]
        for suffix in ("__globals__.os.getpid", "__code__.replace", "__call__"):
            for base in (path, "services.hello-app.ping"):
                reference = {**function.__rpc_object__, "_rmethod": f"{base}.{suffix}"}
                attack = self.caller.rpc._decode(reference, local_workspace="ws-other")
                with self.assertRaisesRegex(Exception, "PermissionError: Permission denied"):
                    await attack()
        self.assertEqual(await function(), "read")

    async def test_the_built_in_service_is_not_reachable(self):
        agent = await self.ready_agent()
        for method in ("services.built-in.get_service", "services.built-in.message_cache.create", "services.built-in"):
            self.call(agent, method, args=["k"])
            to, member, error = await self.answer(agent)
            self.assertEqual((to, member), ("w/raw", "reject"))
            self.assertIn("PermissionError", error["_rvalue"])

    async def test_routing_data_in_the_arguments_is_ignored(self):
        agent = await self.ready_agent()
        self.call(agent, "services.hello-app.handle", peer="w/owner")
        path = (await self.answer(agent))[2]["_rmethod"]
        pose = {"from": "w/owner", "ctx": {"from": "w/owner"}, "to": "w/owner", "user": {"id": "root"}}
        self.call(agent, path, peer="w/thief", **pose)
        to, member, error = await self.answer(agent)
        self.assertEqual((to, member), ("w/thief", "reject"))
        self.assertIn("Access denied", error["_rvalue"])
        self.call(agent, path, peer="w/owner")
        self.assertEqual(await self.answer(agent), ("w/owner", "resolve", "read"))

    async def test_odd_control_messages_are_survived(self):
        agent = await self.ready_agent()
        odd = [{"type": "start"}, {"type": "unknown"}, {"type": 7}, {}, {"type": "cancel"}, {"type": "cancel", "call": 5},
               {"type": "cancel", "call": "w/nobody\0s"}, {"type": "peer_gone"}, {"type": "peer_gone", "peer": [1]},
               {"type": "health"}, {"type": "health", "id": {"deep": 1}, "extra": None}, {"type": "drain", "timeout_s": "x"}]
        for message in odd:
            agent.tell(**message)
        for data in (b"", b"{", b"[]", b"null", b"\xff\xfe", b'"text"'):
            agent.send(wire.CONTROL, data)
        for kind in (wire.RESULT, 0, 7, 200):
            agent.send(kind, b"nonsense", b"not json")
        agent.raw(wire.bare_frame(wire.CANCEL, 99) + wire.bare_frame(wire.ACK, 99) + wire.bare_frame(wire.ACK, 1, b"\x02\x02"))
        self.assertEqual([(await agent.next("health"))["ok"] for _ in range(2)], [True, True])
        await agent.next("drained")
        self.call(agent, "services.hello-app.ping")
        self.assertEqual((await self.answer(agent))[1:], ("resolve", "pong"))

    async def test_broken_framing_ends_the_process(self):
        agent = await self.ready_agent()
        agent.raw(b"\xff" * 32)
        self.assertEqual(await agent.wait(), 1)
        await agent.line("stderr", "the agent broke the protocol")

    async def test_a_start_message_without_its_fields_is_survived(self):
        agent = await self.launch()
        for message in ({"type": "start"}, {"type": "start", "tag": "t", "files": [1]}, {"type": "start", "tag": 5}):
            agent.tell(**message)
        agent.start({"app.py": HEADER + textwrap.dedent(APP)}, "app", "App")
        await agent.next("ready")
