"""Calls to other deployments: the sending side of ``DeploymentHandle``."""

from __future__ import annotations

import asyncio
import json
import pickle
from typing import Any, Coroutine

from . import pickling, wire
from .channel import Channel
from .ray_serve import exceptions
from .ray_serve.handle import DeploymentResponse

# Errors made between the replicas, by the class their text names.
_ON_THE_WAY = {
    "ReplicaLost": exceptions.ActorDiedError,
    "BackPressureError": exceptions.BackPressureError,
    "RequestCancelledError": exceptions.RequestCancelledError,
}


class HandleCaller:
    """Sends the calls of all handles of this replica and hands out their results."""

    def __init__(self, channel: Channel):
        self.loop = asyncio.get_running_loop()
        self._channel = channel
        self._pending: dict[int, asyncio.Future] = {}

    def call(self, deployment: str, method: str, args: tuple, kwargs: dict[str, Any],
             options: dict[str, Any]) -> Coroutine[Any, Any, Any]:
        """The coroutine of one call; its arguments are pickled now, in the caller's thread."""
        if any(isinstance(a, DeploymentResponse) for a in (*args, *kwargs.values())):
            return self._call_with_results(deployment, method, args, kwargs, options)
        return self._send(deployment, method, pickling.dumps((args, kwargs, options)))

    async def _call_with_results(self, deployment: str, method: str, args: tuple,
                                 kwargs: dict[str, Any], options: dict[str, Any]) -> Any:
        """Wait for arguments that are themselves results of calls."""
        args = tuple([await _resolved(a) for a in args])
        kwargs = {name: await _resolved(a) for name, a in kwargs.items()}
        return await self._send(deployment, method, pickling.dumps((args, kwargs, options)))

    async def _send(self, deployment: str, method: str, parts: list) -> Any:
        size = sum(map(len, parts))
        if size > wire.MESSAGE_BYTES:
            raise ValueError(f"arguments of {size} bytes exceed the limit of {wire.MESSAGE_BYTES}")
        head = json.dumps({"deployment": deployment, "method": method}).encode()
        id = self._channel.send(wire.CALL, head, parts).id
        answer = self._pending[id] = self.loop.create_future()
        try:
            ok, data = await answer
        except asyncio.CancelledError:
            self._channel.cancel(id)
            raise
        finally:
            self._pending.pop(id, None)
        return _value(data) if ok else _raise(method, data)

    def result(self, message: wire.Message) -> None:
        """A RESULT has arrived; of a call that was cancelled it is dropped."""
        answer = self._pending.get(message.id)
        if answer is not None and not answer.done():
            ok = not message.aborted and json.loads(message.head).get("ok") is True
            answer.set_result((ok, message.data))

    def lost(self, reason: str) -> None:
        """Fail every call: no result can come any more."""
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(exceptions.RayActorError(reason))


async def _resolved(argument: Any) -> Any:
    return await argument if isinstance(argument, DeploymentResponse) else argument


def _value(data: bytes | bytearray) -> Any:
    try:
        return pickling.loads(data)
    except pickling.NotAPickle as err:
        raise exceptions.RayError(f"the result was not understood: {err.args[0][:200]}") from None


def _raise(method: str, data: bytes | bytearray) -> Any:
    try:
        text, pickled = pickling.loads(data)
    except pickling.NotAPickle as err:
        text = err.args[0]
        kind = _ON_THE_WAY.get(text.partition(":")[0], exceptions.RayError)
        raise kind(text) from None
    raise exceptions.RayTaskError.make(method, text, _cause(pickled)) from None


def _cause(pickled: bytes) -> BaseException | None:
    """The original exception, unless its class cannot be had here."""
    try:
        cause = pickle.loads(pickled)
    except Exception:
        return None
    return cause if isinstance(cause, BaseException) else None
