"""Building the genuine ``hypha_rpc.rpc.RPC`` over our own transport (replica link 10).

The names of the library used here are those of replica link 11; `check` proves at
start that this version still behaves as the link needs.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import inspect
import logging
from typing import Any, Awaitable, Callable

from . import frames

NEVER_CHUNK = 2**30
_PATIENCE_S = 30.0  # for an answer that takes a millisecond


class Connection:
    """What RPC takes for its connection to the server."""

    _enable_reconnect = False
    _closed = False

    def __init__(self, workspace: str, manager_id: str, emit: Callable[[bytes], Awaitable[None]]):
        self.workspace, self.manager_id, self.emit_message = workspace, manager_id, emit
        self.deliver: Callable[[dict[str, Any]], None] = lambda frame: None
        self._lost: list[Callable[[str], Any]] = []

    def on_message(self, handler: Callable[[dict[str, Any]], None]) -> None:
        self.deliver = handler

    def on_connected(self, handler: Callable[[Any], Awaitable[None]]) -> None:
        """There is one connection for the life of the process: nothing to report again."""

    def on_disconnected(self, handler: Callable[[str], Any]) -> None:
        self._lost.append(handler)

    def lost(self, reason: str) -> None:
        """Fail what RPC is still waiting for."""
        self._closed = True
        for handler in self._lost:
            handler(reason)

    async def disconnect(self, reason: str | None = None) -> None:
        self._closed = True


class _TaggedIds:
    """Stands in for the ``shortuuid`` module of RPC: ids name the replica that made them."""

    def __init__(self, tag: str, real: Any):
        self._tag, self._real = tag, real

    def uuid(self, *args: Any, **kwargs: Any) -> str:
        return f"{self._tag}-{self._real.uuid(*args, **kwargs)}"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def tag_ids(tag: str) -> None:
    """Make every id that RPC invents in this process begin with the tag."""
    import hypha_rpc.rpc as module

    if not hasattr(getattr(module, "shortuuid", None), "uuid"):
        raise _unsupported("it makes its ids in another way")
    module.shortuuid = _TaggedIds(tag, module.shortuuid)


def version() -> str:
    """The version of hypha-rpc in this image; '' without it."""
    try:
        return importlib.metadata.version("hypha-rpc")
    except importlib.metadata.PackageNotFoundError:
        return ""


def build(connection: Connection, client_id: str, base_url: str) -> Any:
    """An RPC object that sends and receives through `connection` only."""
    from hypha_rpc.rpc import RPC

    options = {
        "client_id": client_id,
        "workspace": connection.workspace,
        "default_context": {"connection_type": "websocket"},
        "silent": True,
        "method_timeout": 30,
        "server_base_url": base_url,
        "long_message_chunk_size": NEVER_CHUNK,
    }
    if "logger" in inspect.signature(RPC.__init__).parameters:
        options["logger"] = None
    else:  # these warn of timers they clear twice themselves
        logging.getLogger("RPC").setLevel(logging.ERROR)
    rpc = RPC(connection, **options)
    # RPC hides every unhandled error of the loop, the author's too.
    asyncio.get_running_loop().set_exception_handler(_unhandled)
    return rpc


def _unhandled(loop: asyncio.AbstractEventLoop, problem: dict[str, Any]) -> None:
    """Report an error nobody waited for, except those of callbacks that have gone."""
    text = str(problem.get("exception"))
    if "Method not found" not in text and "Session not found" not in text:
        loop.default_exception_handler(problem)


async def check(tag: str) -> None:
    """Prove on a throw-away RPC object that ids are tagged and errors come to us."""
    sent: asyncio.Queue[bytes] = asyncio.Queue()
    failed = asyncio.get_running_loop().create_future()
    connection = Connection("check", "manager", sent.put)
    rpc = build(connection, "replica", "http://check")

    async def probe(callback: Callable) -> None:
        await callback(probe.__call__)
        raise ValueError("as it should")

    rpc.add_service({"id": "probe", "config": {"visibility": "public"}, "probe": probe})
    connection.deliver(_probe_frame(failed.set_result))
    try:
        data = await asyncio.wait_for(sent.get(), _PATIENCE_S)
        session = _check_ids(tag, data)
        connection.deliver(_frame("check/peer", f"{session}.resolve", {"args": [None]}))
        await asyncio.wait_for(failed, _PATIENCE_S)
    except asyncio.TimeoutError:
        raise _unsupported("it does not take messages as this runtime gives them") from None


def _probe_frame(reject: Callable) -> dict[str, Any]:
    callback = {"_rtype": "method", "_rtarget": "check/peer", "_rmethod": "s.cb", "_rpromise": "*"}
    promise = {"resolve": callback, "reject": reject}
    extra = {"args": [callback], "promise": promise, "session": "s"}
    return _frame("check/peer", "services.probe.probe", extra)


def _frame(sender: str, method: str, rest: dict[str, Any]) -> dict[str, Any]:
    main = {"type": "method", "from": sender, "to": "check/replica", "method": method, "ws": "check"}
    return {**main, **rest, "ctx": dict(main)}


def _check_ids(tag: str, data: bytes) -> str:
    main, size = frames.routing(data)
    session, argument = main.get("session"), frames.payload(data, size)["args"][0]
    for made in (session, argument.get("_rmethod")):
        if not isinstance(made, str) or not made.startswith(tag + "-"):
            raise _unsupported(f"an id does not carry the replica's tag: {made!r}")
    return session


def _unsupported(reason: str) -> RuntimeError:
    return RuntimeError(
        f"hypha-rpc {version()} cannot be used in this image: {reason}; "
        "use a version between 0.20.81 and 0.21.47"
    )
