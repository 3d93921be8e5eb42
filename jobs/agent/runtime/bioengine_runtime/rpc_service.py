"""The application's Hypha service: frames in, frames out (replica link 9 and 10)."""

from __future__ import annotations

import asyncio
import functools
from typing import Any, Callable

import msgpack

from . import arguments, errors, frames, invoke, methods, rpc, wire
from .calls import Call, Calls, current, recorder
from .channel import Channel


class RpcService:
    """The schema methods of one instance, served by RPC through the channel."""

    def __init__(self, tag: str, hypha: dict[str, Any], channel: Channel,
                 invoker: invoke.Invoker, log: Callable[[str], None],
                 format: Callable[[BaseException], str]):
        self._tag, self._hypha, self._channel = tag, hypha, channel
        self._invoker, self._log, self._format = invoker, log, format
        self._loop = asyncio.get_running_loop()
        self._address = f"{hypha['workspace']}/{hypha['client_id']}"
        self._captures: dict[tuple[str, str], asyncio.Future] = {}
        self.calls = Calls(self._loop, self._beat, self._abandon)
        self._connection = rpc.Connection(hypha["workspace"], hypha.get("manager_id", ""), self._emit)
        self._rpc = rpc.build(self._connection, hypha["client_id"], hypha.get("public_base_url", ""))
        self._sweep = self._start_sweep()
        self._background: asyncio.Task | None = None

    def _start_sweep(self) -> asyncio.Task | None:
        """RPC forgets idle returned functions by itself only when it talks to a manager."""
        sweep = getattr(self._rpc, "_session_gc_loop", None)
        running = getattr(self._rpc, "_session_gc_task", None)
        return self._loop.create_task(sweep()) if sweep and running is None else None

    # --- the service

    def add(self, instance: Any, names: list[str]) -> None:
        """Offer these methods of the instance."""
        given = dict(self._hypha["service"])
        bound = {name: getattr(instance, name) for name in names}
        config = {
            **(given.get("config") or {}),
            "visibility": "public",  # who may call is the controller's decision
            "require_context": [n for n, m in bound.items() if arguments.declares_context(m)],
        }
        service = {k: given[k] for k in ("id", "name", "type", "description", "docs") if given.get(k)}
        wrapped = {name: self._wrap(method) for name, method in bound.items()}
        self._rpc.add_service({**service, "config": config, **wrapped})

    def _wrap(self, method: Callable) -> Callable:
        """The method as RPC sees it: always a coroutine function, with a clean schema."""

        @functools.wraps(method, updated=())
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            if invoke.is_plain(method):
                args = invoke.for_threads(list(args), self._loop)
                kwargs = invoke.for_threads(kwargs, self._loop)
            try:
                return await self._invoker.call(method, *args, **kwargs)
            except Exception as err:
                if (call := current.get()) is not None:
                    call.failure = self._format(err)
                raise

        wrapper.__schema__ = methods.schema(method)
        return wrapper

    async def describe(self) -> tuple[bytes, bytes]:
        """The answer to get_service and the registration record, both as msgpack."""
        id = self._hypha["service"]["id"]
        config = dict(self._hypha["service"].get("config") or {})
        object = {**msgpack.unpackb(await self._described(id)), "config": config}
        infos = [i for i in self._rpc.get_client_info()["services"] if i["id"].endswith(f":{id}")]
        record = {**infos[0], "config": {**config, "workspace": self._hypha["workspace"]}}
        return msgpack.packb(object), msgpack.packb(record)

    async def _described(self, id: str) -> bytes:
        peer, session = f"{self._hypha['workspace']}/{self._tag}-describe", "describe"
        answer = self._captures[peer, f"{session}.resolve"] = self._loop.create_future()
        frame = self._with_context({
            "type": "method", "from": peer, "to": self._address, "ws": self._hypha["workspace"],
            "method": "services.built-in.get_service", "session": session,
        })
        frame |= {"args": [id], "promise": self._promise(peer, session, answer.set_exception)}
        self._connection.deliver(frame)
        return await answer

    # --- frames from the controller

    def receive(self, message: wire.Message) -> None:
        """Give one frame to RPC; must be called in the order of arrival."""
        try:
            if message.aborted:
                raise frames.BadFrame(message.data.decode("utf-8", "replace"))
            main, size = frames.routing(message.data)
            extra = frames.payload(message.data, size)
            if not frames.is_method(main):
                raise frames.BadFrame("not a method message")
        except frames.BadFrame as err:
            return self._refuse_unread(message, err)
        session = main.get("session")
        if not isinstance(session, str) or not session:
            extra.pop("promise", None)
            if frames.may_be_called(main["method"]):
                self._connection.deliver(self._with_context(main) | extra)
            return
        key = message.head or f"{main['from']}\0{session}".encode()
        call = self.calls.open(key, main["from"], session, frames.beat_interval(extra))
        if call is None:
            return self._log(f"a second call of an open session was dropped: {main['from']}")
        self._deliver(call, main, extra)

    def _deliver(self, call: Call, main: dict[str, Any], extra: dict[str, Any]) -> None:
        method = main["method"]
        if not frames.may_be_called(method):
            error = PermissionError(f"Permission denied for invoking protected method {method}")
            return self._reject(call, error)
        extra["promise"] = self._promise(call.peer, call.session, functools.partial(self._reject, call))
        frame = self._with_context(main) | extra
        created: list[asyncio.Task] = []
        token, previous = current.set(call), self._loop.get_task_factory()
        self._loop.set_task_factory(recorder(previous, created))
        try:
            self._connection.deliver(frame)
        except Exception as err:
            self._reject(call, err)
        finally:
            self._loop.set_task_factory(previous)
            current.reset(token)
        self.calls.work(call, created)

    def _with_context(self, main: dict[str, Any]) -> dict[str, Any]:
        return {**main, "ctx": {"connection_type": "websocket", **main}}

    def _promise(self, peer: str, session: str, reject: Callable) -> dict[str, Any]:
        """A promise whose answer RPC sends, and whose failure comes to us.

        It replaces the caller's own: callbacks are always those of the caller's
        session, and heartbeats are ours.
        """
        resolve = {"_rtype": "method", "_rtarget": peer, "_rmethod": f"{session}.resolve", "_rpromise": False}
        return {"resolve": resolve, "reject": reject}

    def _refuse_unread(self, message: wire.Message, err: Exception) -> None:
        self._log(f"a message was not understood: {err}")
        peer, _, session = message.head.decode("utf-8", "replace").partition("\0")
        if message.flags & wire.OPENS and session:
            call = self.calls.open(message.head, peer, session, None)
            if call is not None:
                self._reject(call, ValueError(f"the message was not understood: {err}"))

    # --- frames to callers

    def _emit(self, data: bytes) -> Any:
        """Send a frame of RPC; the sending begins now, the returned coroutine waits for its end."""
        main, size = frames.routing(data)
        to, method = main.get("to", ""), main.get("method", "")
        capture = self._captures.pop((to, method), None)
        if capture is not None:
            capture.set_result(frames.only_argument(data, size))
            return _nothing()
        session, _, member = method.rpartition(".")
        if len(data) > wire.MESSAGE_BYTES:
            return self._refuse_large(data, to, session)
        if member not in ("resolve", "reject"):
            return self._channel.written(self._channel.send(wire.HYPHA, b"", [data]))
        call = self.calls.end(to, session)
        if call is None:
            return _nothing()  # an answer to a call that has ended
        return self._channel.written(self._channel.send(wire.HYPHA, call.key, [data], wire.ENDS))

    async def _refuse_large(self, data: bytes, to: str, session: str) -> None:
        error = ValueError(f"a message of {len(data)} bytes exceeds the limit of {wire.MESSAGE_BYTES}")
        call = self.calls.find(to, session)
        if call is None:
            raise error
        self._reject(call, error)

    def _reject(self, call: Call, err: BaseException) -> None:
        """End a call with an error."""
        if self.calls.end(call.peer, call.session) is not call:
            return
        text = call.failure or (self._format(err) if err.__traceback__ else _plain(err))
        frame = frames.rejection(self._address, call.peer, call.session, text, errors.last_line(text))
        self._channel.send(wire.HYPHA, call.key, [frame], wire.ENDS)

    def _abandon(self, call: Call) -> None:
        self._reject(call, asyncio.CancelledError("the call was cancelled"))

    def _beat(self, call: Call) -> None:
        frame = frames.reply(self._address, call.peer, call.session, "heartbeat")
        self._channel.send(wire.HYPHA, b"", [frame])

    # --- departures

    def peer_gone(self, peer: str) -> None:
        """Forget a caller that has left: its calls, callbacks and returned functions.

        All at once: the next frame may be of a new client with the same address.
        """
        self.calls.cancel_peer(peer)
        forget = getattr(self._rpc, "_handle_client_disconnected", None)
        if forget is None:
            return
        forgetting = forget(peer)
        try:
            forgetting.send(None)
        except StopIteration:
            return
        forgetting.close()  # a version that waits for something; what it did may be done again
        self._background = self._loop.create_task(forget(peer))

    def close(self, reason: str) -> None:
        """Fail the replica's own pending calls and stop working."""
        self.calls.cancel_all()
        if self._sweep is not None:
            self._sweep.cancel()
        self._connection.lost(reason)


def _plain(err: BaseException) -> str:
    """RPC's own refusals are a bare Exception around a text that other clients match on."""
    return str(err) if type(err) is Exception else errors.summary(err)


async def _nothing() -> None:
    return None
