"""What the tests of the running process share."""

from __future__ import annotations

import asyncio
import textwrap
import unittest
from typing import Any

from agent import Agent
from caller import Caller, route

HEADER = """\
import asyncio, os, sys, logging, time
from hypha_rpc.utils.schema import schema_method
from pydantic import Field
from ray import serve
"""


class RuntimeCase(unittest.IsolatedAsyncioTestCase):
    """Starts runtimes and ends them."""

    async def launch(self, env: dict[str, str] | None = None, **options: Any) -> Agent:
        agent = await Agent(**options).launch(env)
        self.addAsyncCleanup(agent.close)
        return agent

    async def begin(self, body: str, cls: str = "App", file: str = "app", **changes: Any) -> Agent:
        """A runtime that was given this source."""
        agent = await self.launch(changes.pop("environ", None))
        files = {f"{file}.py": HEADER + textwrap.dedent(body), **changes.pop("files", {})}
        agent.start(files, file, cls, **changes)
        return agent

    async def serve(self, body: str, **changes: Any) -> tuple[Agent, Any]:
        """A ready runtime and a client's proxy of its service."""
        agent = await self.begin(body, **changes)
        self.ready = await agent.next("ready")
        self.caller = self.client(agent)
        return agent, self.caller.service(self.ready)

    def client(self, agent: Agent, *names: str, **options: Any) -> Any:
        """One caller, or several by their names, whose answers are delivered."""
        callers = [Caller(agent, n, **options) for n in names or ("caller",)]
        task = asyncio.create_task(route(agent, *callers))
        self.addAsyncCleanup(self._end, task)
        return callers if names else callers[0]

    async def _end(self, task: asyncio.Task) -> None:
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return

    async def failed(self, body: str, **changes: Any) -> dict[str, Any]:
        """The failure of a runtime that must not become ready, after its process has ended."""
        agent = await self.begin(body, **changes)
        message = await agent.next("failed")
        self.assertEqual(await agent.wait(), 1)
        self.failed_agent = agent
        return message
