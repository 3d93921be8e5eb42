"""A Hypha client at the other end: genuine RPC, with the controller's part played here."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import msgpack

import agent as stand_in
from bioengine_runtime import frames, rpc, wire

USER = {"id": "user-1", "email": "user@example.org", "is_anonymous": False}


class Caller:
    """Calls the service of a runtime through its agent's socket."""

    def __init__(self, agent: stand_in.Agent, name: str = "caller", workspace: str = "ws-other", timeout: float = 20):
        self.agent, self.address = agent, f"{workspace}/{name}"
        self.ends: list[bytes] = []
        self.members: list[str] = []
        self.connection = rpc.Connection(workspace, "manager-1", self._emit)
        self.rpc = rpc.build(self.connection, name, "http://hypha")
        self.rpc._method_timeout = timeout

    async def _emit(self, data: bytes) -> None:
        main, size = frames.routing(data)
        main |= {"from": self.address, "ws": self.address.split("/")[0], "user": USER}
        head, flags = b"", 0
        if "session" in main:
            head, flags = f"{self.address}\0{main['session']}".encode(), wire.OPENS
        self.agent.send(wire.HYPHA, msgpack.packb(main) + data[size:], head, flags)

    def service(self, ready: dict[str, Any]) -> Any:
        """The proxy that get_service would give."""
        described = msgpack.unpackb(base64.b64decode(ready["description"]))
        return self.rpc._decode(described, remote_workspace=stand_in.WORKSPACE,
                                local_workspace=self.address.split("/")[0])

    def take(self, message: wire.Message) -> None:
        """Give the caller a frame of the replica."""
        main, size = frames.routing(message.data)
        if message.flags & wire.ENDS:
            self.ends.append(message.head)
        self.members.append(main["method"].rpartition(".")[2])
        main |= {"ws": stand_in.WORKSPACE}
        self.connection.deliver({**main, "ctx": dict(main), **frames.payload(message.data, size)})


async def route(agent: stand_in.Agent, *callers: Caller) -> None:
    """Deliver the replica's frames to the callers they are for, until cancelled."""
    by_address = {c.address: c for c in callers}
    while True:
        message = await agent.hypha.get()
        main, _ = frames.routing(message.data)
        assert main["from"] == stand_in.ADDRESS, main
        by_address[main["to"]].take(message)
