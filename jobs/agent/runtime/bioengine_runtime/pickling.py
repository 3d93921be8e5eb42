"""Values of handle calls as bytes: cloudpickle with the large buffers beside it.

``BEP1 | u32 buffer count | u64 pickle length | u64 length of each buffer |
pickle | buffers``; pickle and buffers begin at multiples of 16 bytes, so an array
can use the received memory as its own. Bytes that do not begin with the mark are
the UTF-8 text of an error made on the way (``<Class>: <message>``).
"""

from __future__ import annotations

import pickle
import struct
from typing import Any

_MARK = b"BEP1"
_COUNT = struct.Struct(">4sI")
_ALIGN = 16
_OUT_OF_BAND = 4096  # smaller buffers are cheaper inside the pickle


class NotAPickle(Exception):
    """The bytes carry a text instead of a value; `args[0]` is the text."""


def dumps(value: Any) -> list:
    """The value as buffers to be sent one after the other.

    Each large buffer is copied once, here: the author may change the array while
    it is still on its way.
    """
    import cloudpickle

    buffers: list[bytes] = []

    def keep_inside(buffer: pickle.PickleBuffer) -> bool:
        raw = _raw(buffer)
        if raw is None or raw.nbytes < _OUT_OF_BAND:
            return True
        buffers.append(bytes(raw))
        return False

    body = cloudpickle.dumps(value, protocol=5, buffer_callback=keep_inside)
    lengths = [len(body), *map(len, buffers)]
    head = _COUNT.pack(_MARK, len(buffers)) + struct.pack(f">{len(lengths)}Q", *lengths)
    parts: list = [head, _padding(len(head))]
    for piece in (body, *buffers):
        parts += [piece, _padding(len(piece))]
    return parts


def loads(data: bytes | bytearray) -> Any:
    """The value; its arrays share memory with `data` and can be written to."""
    view = memoryview(data if isinstance(data, bytearray) else bytearray(data))
    if len(view) < _COUNT.size or view[:4] != _MARK:
        raise NotAPickle(bytes(view).decode("utf-8", "replace"))
    _, count = _COUNT.unpack_from(view)
    lengths = struct.unpack_from(f">{count + 1}Q", view, _COUNT.size)
    position = _COUNT.size + 8 * (count + 1)
    pieces = []
    for length in lengths:
        position += -position % _ALIGN
        pieces.append(view[position : position + length])
        position += length
    return pickle.loads(pieces[0], buffers=pieces[1:])


def _raw(buffer: pickle.PickleBuffer) -> memoryview | None:
    try:
        return buffer.raw()
    except BufferError:  # not contiguous
        return None


def _padding(length: int) -> bytes:
    return b"\0" * (-length % _ALIGN)
