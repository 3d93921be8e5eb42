"""Hypha messages as bytes: a `main` map followed by an optional `extra` map (hypha-protocol 2.1)."""

from __future__ import annotations

from typing import Any

import msgpack

# What may come from `extra`; anything else there would pose as routing data (replica link 9).
_EXTRA_KEYS = ("args", "with_kwargs", "promise", "t", "_enc", "data")
_FIRST_LOOK = 4096  # bytes; `main` is rarely larger
_PERMITTED = {"_dispose", "__enter__", "__exit__"}  # members of services that begin with "_"
_ONLY_ARGUMENT = b"\x81\xa4args\x91"  # {"args": [<one value>]}


class BadFrame(Exception):
    """The bytes are not a Hypha method message."""


def routing(data: bytes | bytearray) -> tuple[dict[str, Any], int]:
    """The `main` map and the number of its bytes; nothing of `extra` is read."""
    view = memoryview(data)
    unpacker = msgpack.Unpacker(max_buffer_size=max(len(view), _FIRST_LOOK))
    fed = 0
    try:
        while True:
            piece = view[fed : max(_FIRST_LOOK, fed * 2)]
            if not piece:
                raise BadFrame("the message ends inside its header")
            unpacker.feed(piece)
            fed += len(piece)
            try:
                main = unpacker.unpack()
                break
            except msgpack.OutOfData:
                continue
    except (ValueError, msgpack.UnpackException) as err:
        raise BadFrame(f"the header is not msgpack: {err}") from err
    if not isinstance(main, dict):
        raise BadFrame("the header is not a map")
    return main, unpacker.tell()


def payload(data: bytes | bytearray, start: int) -> dict[str, Any]:
    """The accepted keys of the `extra` map."""
    if start >= len(data):
        return {}
    try:
        extra = msgpack.unpackb(memoryview(data)[start:])
    except msgpack.ExtraData as err:
        extra = err.unpacked
    except (ValueError, msgpack.UnpackException) as err:
        raise BadFrame(f"the arguments are not msgpack: {err}") from err
    if not isinstance(extra, dict):
        raise BadFrame("the arguments are not a map")
    return {key: extra[key] for key in _EXTRA_KEYS if key in extra}


def is_method(main: dict[str, Any]) -> bool:
    """Whether the header is that of a call, a reply or a callback."""
    fields = (main.get("from"), main.get("to"), main.get("method"))
    return main.get("type") == "method" and all(isinstance(f, str) and f for f in fields)


def may_be_called(method: str) -> bool:
    """RPC would walk into attributes of callables: only what was meant to be called may be."""
    parts = method.split(".")
    if parts[:2] == ["services", "built-in"]:
        return False  # the controller answers these
    begin = 2 if parts[0] == "services" else 0
    return not any(p.startswith("_") and p not in _PERMITTED for p in parts[begin:])


def beat_interval(extra: dict[str, Any]) -> Any:
    """How often the caller wishes for a heartbeat, as it says; None when it does not."""
    promise = extra.get("promise")
    return promise.get("interval") if isinstance(promise, dict) else extra.get("t")


def only_argument(data: bytes, start: int) -> bytes:
    """The single argument of a reply, still packed."""
    extra = data[start:]
    if extra.startswith(_ONLY_ARGUMENT):
        return extra[len(_ONLY_ARGUMENT) :]
    return msgpack.packb(msgpack.unpackb(extra)["args"][0])


def reply(sender: str, to: str, session: str, member: str, args: list | None = None) -> bytes:
    """A frame to one of the three callbacks of a caller's session."""
    main = {"type": "method", "from": sender, "to": to, "method": f"{session}.{member}", "parent": session}
    return msgpack.packb(main) + (msgpack.packb({"args": args}) if args is not None else b"")


def rejection(sender: str, to: str, session: str, text: str, trace: str) -> bytes:
    """The frame that fails a caller's promise (replica link 5)."""
    error = {"_rtype": "error", "_rvalue": text, "_rtrace": trace}
    return reply(sender, to, session, "reject", [error])
