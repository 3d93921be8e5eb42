"""Frames of the socket between agent and runtime.

A frame is ``u32 length of the rest | u8 kind | u8 flags | u32 id | payload``,
all big endian. A message is one or more frames of the same kind and id, each
with at most FRAGMENT_BYTES of data; the first one begins with
``u64 data length | u16 head length | head``. ACK and CANCEL are bare: they have no
such prefix. Frames of different messages may interleave. ABORT says that the rest of
a message will not come: its head is the kind in one byte, its id that of the message.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

CONTROL, HYPHA, CALL, RESULT, ACK, CANCEL, ABORT = 1, 2, 3, 4, 5, 6, 7
FIRST, LAST, OPENS, ENDS = 1, 2, 4, 8

FRAGMENT_BYTES = 256 * 1024
MESSAGE_BYTES = 256 * 1024 * 1024
HEAD_BYTES = 64 * 1024 - 1

_HEADER = struct.Struct(">IBBI")
_PREFIX = struct.Struct(">QH")
_OVERHEAD = _HEADER.size - 4
_MAX_FRAME = _OVERHEAD + _PREFIX.size + HEAD_BYTES + FRAGMENT_BYTES
_BARE = (ACK, CANCEL)


class ProtocolError(Exception):
    """The peer broke the framing; nothing after it can be trusted."""


@dataclass(slots=True)
class Message:
    """One whole message; `data` is bytes when it came in a single frame.

    When the message was aborted, `data` is the reason: `<Class>: <message>` in UTF-8.
    """

    kind: int
    id: int
    flags: int
    head: bytes
    data: bytes | bytearray
    aborted: bool = False


def bare_frame(kind: int, id: int, payload: bytes = b"") -> bytes:
    """The single frame of an ACK or CANCEL."""
    length = _OVERHEAD + len(payload)
    return _HEADER.pack(length, kind, FIRST | LAST, id) + payload


class Outgoing:
    """A message being sent: cut into frames without joining its parts."""

    __slots__ = (
        "kind", "id", "flags", "head", "total", "started", "unacked", "written", "_parts", "_left",
    )

    def __init__(self, kind: int, id: int, flags: int, head: bytes, parts: list):
        if len(head) > HEAD_BYTES:
            raise ValueError(f"head of {len(head)} bytes exceeds {HEAD_BYTES}")
        self.kind, self.id, self.flags, self.head = kind, id, flags, head
        self._parts = [memoryview(p).cast("B") for p in reversed(parts) if len(p)]
        self.total = self._left = sum(len(p) for p in self._parts)
        self.started = False
        self.unacked = 0  # fragments the agent has not taken yet
        self.written = None  # future made by the channel when someone waits

    @property
    def finished(self) -> bool:
        return self.started and self._left == 0

    @property
    def fragmented(self) -> bool:
        return self.total > FRAGMENT_BYTES

    def next_frame(self) -> list:
        """The buffers of the next frame."""
        prefix, flags = b"", 0
        if not self.started:
            self.started = True
            prefix = _PREFIX.pack(self.total, len(self.head)) + self.head
            flags = FIRST | self.flags
        views, size = self._take(FRAGMENT_BYTES)
        if self._left == 0:
            flags |= LAST
        header = _HEADER.pack(_OVERHEAD + len(prefix) + size, self.kind, flags, self.id)
        return [header + prefix, *views]

    def _take(self, limit: int) -> tuple[list[memoryview], int]:
        views, size = [], 0
        while self._parts and size < limit:
            part = self._parts.pop()
            if len(part) > limit - size:
                self._parts.append(part[limit - size :])
                part = part[: limit - size]
            views.append(part)
            size += len(part)
        self._left -= size
        return views, size


class Parser:
    """Turns received bytes into messages; partial messages stay inside it."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._partial: dict[tuple[int, int], _Partial] = {}

    def feed(self, received: memoryview) -> list[Message]:
        """The messages completed by these bytes, in the order of their last frames."""
        self._buffer += received
        messages, position = [], 0
        with memoryview(self._buffer) as view:
            while len(view) - position >= _HEADER.size:
                length, kind, flags, id = _HEADER.unpack_from(view, position)
                if not _OVERHEAD <= length <= _MAX_FRAME:
                    raise ProtocolError(f"frame of {length} bytes")
                end = position + 4 + length
                if end > len(view):
                    break
                with view[position + _HEADER.size : end] as payload:
                    message = self._frame(kind, flags, id, payload)
                if message is not None:
                    messages.append(message)
                position = end
        del self._buffer[:position]
        return messages

    def _frame(self, kind: int, flags: int, id: int, payload: memoryview) -> Message | None:
        if kind in _BARE:
            return Message(kind, id, flags, b"", bytes(payload))
        key = (kind, id)
        if flags & FIRST:
            if key in self._partial:
                raise ProtocolError(f"message {kind}/{id} begins twice")
            message = self._begin(key, flags, payload)
            return self._abort(message) if kind == ABORT and message else message
        partial = self._partial.get(key)
        if partial is None:
            raise ProtocolError(f"fragment of unknown message {kind}/{id}")
        partial.add(payload)
        return self._end(key, partial) if flags & LAST else None

    def _begin(self, key: tuple[int, int], flags: int, payload: memoryview) -> Message | None:
        if len(payload) < _PREFIX.size:
            raise ProtocolError("first frame without its prefix")
        total, head_bytes = _PREFIX.unpack_from(payload)
        if total > MESSAGE_BYTES or _PREFIX.size + head_bytes > len(payload):
            raise ProtocolError(f"message of {total} bytes with a head of {head_bytes}")
        start = _PREFIX.size + head_bytes
        head, data = bytes(payload[_PREFIX.size : start]), payload[start:]
        if flags & LAST:
            if len(data) != total:
                raise ProtocolError(f"{len(data)} bytes of data instead of {total}")
            return Message(*key, flags & (OPENS | ENDS), head, bytes(data))
        partial = _Partial(flags & (OPENS | ENDS), head, bytearray(total))
        partial.add(data)
        self._partial[key] = partial
        return None

    def _abort(self, abort: Message) -> Message | None:
        key = (abort.head[0] if abort.head else 0, abort.id)
        partial = self._partial.pop(key, None)
        return partial and Message(*key, partial.flags, partial.head, abort.data, aborted=True)

    def _end(self, key: tuple[int, int], partial: _Partial) -> Message:
        del self._partial[key]
        if partial.filled != len(partial.data):
            raise ProtocolError(f"{partial.filled} bytes of data instead of {len(partial.data)}")
        return Message(*key, partial.flags, partial.head, partial.data)


class _Partial:
    __slots__ = ("flags", "head", "data", "filled")

    def __init__(self, flags: int, head: bytes, data: bytearray):
        self.flags, self.head, self.data, self.filled = flags, head, data, 0

    def add(self, piece: memoryview) -> None:
        end = self.filled + len(piece)
        if end > len(self.data):
            raise ProtocolError("more data than announced")
        self.data[self.filled : end] = piece
        self.filled = end
