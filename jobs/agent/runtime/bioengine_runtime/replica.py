"""The process as a whole: messages in, the deployment, and the end of it."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from typing import Any

from . import control, wire
from .channel import Channel
from .handles import HandleCaller
from .invoke import Invoker
from .lifecycle import Deployed, Lifecycle, destroy

_log = logging.getLogger("ray.serve")
_DESTRUCTOR_S = 8.0  # the agent waits 10 s for the end of a replica
_CLEAN_UP_S = 1.0


class Replica:
    """Runs one replica on the running event loop until the agent ends it."""

    def __init__(self, sock: socket.socket):
        self._loop = asyncio.get_running_loop()
        self._channel = Channel(sock, self._receive, self._lost)
        self._caller = HandleCaller(self._channel)
        self._started: asyncio.Future[control.Start] = self._loop.create_future()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        self._tasks: set[asyncio.Task] = set()
        self._stopped = asyncio.Event()
        self._deployed: Deployed | None = None

    async def run(self) -> int:
        """The exit code: 0 after an ordered stop, 1 otherwise."""
        life = self._spawn(self._live())
        life.add_done_callback(self._life_ended)
        code = await self._ended
        life.cancel()
        await asyncio.wait([life], timeout=_CLEAN_UP_S)
        return code

    async def _live(self) -> int:
        start = await self._started
        invoker = Invoker(self._loop, start.options.max_ongoing)
        lifecycle = Lifecycle(start, self._channel, self._caller, invoker)
        try:
            deployed = self._deployed = await lifecycle.run()
            if deployed is None:
                return 1
            return await self._serve(deployed, invoker)
        finally:
            if lifecycle.sources is not None:
                lifecycle.sources.remove()

    async def _serve(self, deployed: Deployed, invoker: Invoker) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stopped.set)
        self._channel.control(deployed.ready)
        deployed.health.start_test()
        await self._stopped.wait()
        deployed.server.cancel_all()
        if deployed.service is not None:
            deployed.service.close("the replica is stopping")
        try:
            await asyncio.wait_for(destroy(deployed.instance, invoker), _DESTRUCTOR_S)
        except Exception:
            _log.exception("__del__ of the deployment failed")
        invoker.close()
        return 0

    def _life_ended(self, life: asyncio.Task) -> None:
        if self._ended.done():
            return
        if life.cancelled() or life.exception() is not None:
            _log.error("the replica failed", exc_info=None if life.cancelled() else life.exception())
            self._ended.set_result(1)
        else:
            self._ended.set_result(life.result())

    def _lost(self, reason: str) -> None:
        """The socket is gone: the agent has ended, and nothing can be answered any more."""
        _log.warning("the replica ends: %s", reason)
        if not self._ended.done():
            self._ended.set_result(1)

    def _spawn(self, work: Any) -> asyncio.Task:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- messages

    def _receive(self, message: wire.Message) -> None:
        """Handle one message; an error in it is logged and ends nothing."""
        try:
            self._dispatch(message)
        except Exception:
            _log.exception("a message of the agent was not understood")

    def _dispatch(self, message: wire.Message) -> None:
        deployed = self._deployed
        match message.kind:
            case wire.CONTROL:
                self._control(control.parse(message.data))
            case wire.RESULT:
                self._caller.result(message)
            case wire.HYPHA if deployed and deployed.service:
                deployed.service.receive(message)
            case wire.CALL if message.aborted:
                return  # whoever asked has gone
            case wire.CALL if deployed:
                deployed.server.call(message)
            case wire.CALL:
                text = b"RayServeException: the deployment is not ready"
                self._channel.send(wire.RESULT, b'{"ok": false}', [text], id=message.id)
            case wire.CANCEL if deployed:
                deployed.server.cancel(message.id)

    def _control(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "start":
                if self._started.done():
                    raise control.BadControl("a second start message")
                self._started.set_result(control.start(message))
            case "health":
                self._spawn(self._check(message.get("id")))
            case "cancel" if self._deployed and self._deployed.service:
                self._deployed.service.calls.cancel(str(message.get("call")).encode())
            case "peer_gone" if self._deployed and self._deployed.service:
                self._deployed.service.peer_gone(str(message.get("peer")))
            case "drain":
                self._spawn(self._drain(message.get("timeout_s")))
            case "stop":
                self._stop()

    async def _check(self, id: Any) -> None:
        error: BaseException | None = None
        try:
            if self._deployed is None:
                raise RuntimeError("the deployment is not ready")
            await self._deployed.health.check()
        except (Exception, asyncio.CancelledError) as err:
            error = err
        self._channel.control(control.health(id, error))

    async def _drain(self, timeout_s: Any) -> None:
        """Wait until no call is open, but not longer than the agent allows."""
        seconds = float(timeout_s) if isinstance(timeout_s, (int, float)) else 0.0
        try:
            await asyncio.wait_for(self._idle(), max(0.0, seconds))
        except asyncio.TimeoutError:
            _log.warning("calls are still open after %.1f s", seconds)
        self._channel.control(control.drained())

    async def _idle(self) -> None:
        if self._deployed is None:
            return
        await self._deployed.server.idle.wait()
        if self._deployed.service is not None:
            await self._deployed.service.calls.idle.wait()

    def _stop(self) -> None:
        if self._deployed is not None:
            self._stopped.set()
        elif not self._ended.done():
            self._ended.set_result(0)
