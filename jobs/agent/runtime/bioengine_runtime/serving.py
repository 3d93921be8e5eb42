"""Calls from other deployments: the receiving side of ``DeploymentHandle``."""

from __future__ import annotations

import asyncio
import contextvars
import json
from typing import Any, Callable

from . import pickling, wire
from .channel import Channel
from .health import Health
from .invoke import Invoker
from .ray_serve.context import multiplexed_model_id

_MAX_WAITING = 1000  # beyond it calls are refused with BackPressureError


class HandleServer:
    """Runs calls on one instance, at most `max_ongoing` at a time; the rest wait in order."""

    def __init__(self, instance: Any, health: Health, invoker: Invoker, channel: Channel,
                 max_ongoing: int, format: Callable[[BaseException], str]):
        self._instance, self._health = instance, health
        self._invoker, self._channel = invoker, channel
        self._format = format
        self._slots = asyncio.Semaphore(max_ongoing)
        self._limit = max_ongoing + _MAX_WAITING
        self._tasks: dict[int, asyncio.Task] = {}
        self.idle = asyncio.Event()
        self.idle.set()

    def call(self, message: wire.Message) -> None:
        """Start one call."""
        if len(self._tasks) >= self._limit:
            text = f"BackPressureError: {len(self._tasks)} calls are waiting for this replica"
            return self._answer(message.id, False, [text.encode()])
        # Each call has variables of its own; the context of the reader is not theirs.
        task = asyncio.create_task(self._run(message), context=contextvars.Context())
        self._tasks[message.id] = task
        self.idle.clear()
        task.add_done_callback(lambda _: self._done(message.id))

    def cancel(self, id: int) -> None:
        """The caller does not want the result any more."""
        task = self._tasks.get(id)
        if task is not None:
            task.cancel()

    def cancel_all(self) -> None:
        """Stop working."""
        for task in list(self._tasks.values()):
            task.cancel()

    def _done(self, id: int) -> None:
        del self._tasks[id]
        if not self._tasks:
            self.idle.set()

    async def _run(self, message: wire.Message) -> None:
        try:
            method = json.loads(message.head)["method"]
            args, kwargs, options = pickling.loads(message.data)
            value = await self._admitted(method, args, kwargs, options)
            self._answer(message.id, True, pickling.dumps(value))
        except BaseException as err:  # whatever it is, the caller must hear of it
            self._answer(message.id, False, pickling.dumps((self._format(err), _pickled(err))))

    async def _admitted(self, name: str, args: tuple, kwargs: dict, options: dict) -> Any:
        if name == "check_health":
            return await self._health.check()
        async with self._slots:
            multiplexed_model_id.set(options.get("multiplexed_model_id", ""))
            return await self._invoker.call(self._method(name), *args, **kwargs)

    def _method(self, name: str) -> Callable:
        method = getattr(self._instance, name, None) if _is_public(name) else None
        if not callable(method):
            raise AttributeError(f"'{type(self._instance).__name__}' has no method '{name}'")
        return method

    def _answer(self, id: int, ok: bool, parts: list) -> None:
        size = sum(map(len, parts))
        if size > wire.MESSAGE_BYTES:
            text = f"ValueError: a result of {size} bytes exceeds the limit of {wire.MESSAGE_BYTES}"
            ok, parts = False, [text.encode()]
        head = json.dumps({"ok": ok}).encode()
        self._channel.send(wire.RESULT, head, parts, id=id)


def _is_public(name: str) -> bool:
    return name == "__call__" or not name.startswith("_")


def _pickled(err: BaseException) -> bytes:
    """The exception itself, or nothing when it cannot travel."""
    import cloudpickle

    try:
        return cloudpickle.dumps(err, protocol=5)
    except Exception:
        return b""
