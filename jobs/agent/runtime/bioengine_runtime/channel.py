"""The socket to the agent: one reader and one writer on the event loop.

Neither side ever blocks the loop. Small messages keep their order; fragments of
large ones go round robin between them, so a 100 MB result delays nobody.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from collections import deque
from typing import Any, Callable

from . import wire

_WINDOW = 4  # unacknowledged fragments of one message
_MAX_FRAGMENTED = 64  # fragmented messages under way; the agent keeps a window of each
_READ_BYTES = 512 * 1024


class Channel:
    """Sends and receives messages; must be used from the loop's thread only.

    The queue of outgoing messages has no limit of its own: what is in it is the
    results of admitted calls (bounded by admission) and frames whose senders wait
    in `written`.
    """

    def __init__(self, sock: socket.socket, receive: Callable[[wire.Message], None],
                 closed: Callable[[str], None]):
        sock.setblocking(False)
        self._sock, self._receive, self._closed = sock, receive, closed
        self._loop = asyncio.get_running_loop()
        self._parser = wire.Parser()
        self._buffer = bytearray(_READ_BYTES)
        self._ids = {kind: itertools.cycle(range(1, 2**32)) for kind in range(1, 7)}
        self._ready: deque[wire.Outgoing] = deque()
        self._bare: deque[bytes] = deque()
        self._parked: dict[tuple[int, int], wire.Outgoing] = {}
        self._unacked: dict[tuple[int, int], wire.Outgoing] = {}
        self._waiting: deque[wire.Outgoing] = deque()  # fragmented ones beyond the limit
        self._current: list[memoryview] = []  # rest of the frame on the socket
        self._current_of: wire.Outgoing | None = None
        self._writing = False
        self._open = True
        self._loop.add_reader(sock, self._on_readable)

    # --- sending

    def control(self, message: dict[str, Any]) -> wire.Outgoing:
        """Send a control message."""
        return self.send(wire.CONTROL, b"", [json.dumps(message).encode()])

    def send(self, kind: int, head: bytes, parts: list, flags: int = 0,
             id: int | None = None) -> wire.Outgoing:
        """Queue a message and write as much as the socket takes now."""
        if id is None:
            id = next(self._ids[kind])
        outgoing = wire.Outgoing(kind, id, flags, head, parts)
        self._enqueue(outgoing)
        self._flush()
        return outgoing

    def _enqueue(self, outgoing: wire.Outgoing) -> None:
        if not outgoing.fragmented:
            self._ready.append(outgoing)
        elif len(self._unacked) < _MAX_FRAGMENTED:
            self._unacked[outgoing.kind, outgoing.id] = outgoing
            self._ready.append(outgoing)
        else:
            self._waiting.append(outgoing)

    def cancel(self, call: int) -> None:
        """Tell the agent that the result of one of our calls is not wanted."""
        self._bare.append(wire.bare_frame(wire.CANCEL, call))
        self._flush()

    async def written(self, outgoing: wire.Outgoing) -> None:
        """Wait until the last byte of a message has left for the agent."""
        if self._is_written(outgoing) or not self._open:
            return
        if outgoing.written is None:
            outgoing.written = self._loop.create_future()
        await asyncio.shield(outgoing.written)

    def _is_written(self, outgoing: wire.Outgoing) -> bool:
        return outgoing.finished and self._current_of is not outgoing

    def _flush(self) -> None:
        while self._open and (self._current or self._next_frame()):
            try:
                sent = self._sock.sendmsg(self._current)
            except BlockingIOError:
                sent = 0
            except OSError as err:
                return self.close(f"writing to the agent: {err}")
            if not self._advance(sent):
                return self._watch(True)
        self._watch(False)

    def _advance(self, sent: int) -> bool:
        """Drop the sent bytes; true when the frame is complete."""
        views = self._current
        while views and sent >= len(views[0]):
            sent -= len(views.pop(0))
        if views:
            views[0] = views[0][sent:]
            return False
        outgoing, self._current_of = self._current_of, None
        if outgoing is not None and outgoing.finished:
            self._settle(outgoing)
        return True

    @staticmethod
    def _settle(outgoing: wire.Outgoing | None) -> None:
        if outgoing is not None and outgoing.written is not None and not outgoing.written.done():
            outgoing.written.set_result(None)

    def _next_frame(self) -> bool:
        if self._bare:
            self._current = [memoryview(self._bare.popleft())]
            return True
        if not self._ready:
            return False
        outgoing = self._ready.popleft()
        self._current = [memoryview(b) for b in outgoing.next_frame()]
        self._current_of = outgoing
        if outgoing.fragmented:
            self._requeue(outgoing)
        return True

    def _requeue(self, outgoing: wire.Outgoing) -> None:
        outgoing.unacked += 1
        if outgoing.finished:
            del self._unacked[outgoing.kind, outgoing.id]
            if self._waiting:
                self._enqueue(self._waiting.popleft())
        elif outgoing.unacked < _WINDOW:
            self._ready.append(outgoing)
        else:
            self._parked[outgoing.kind, outgoing.id] = outgoing

    def _acknowledge(self, key: tuple[int, int]) -> None:
        outgoing = self._unacked.get(key)
        if outgoing is None:
            return
        outgoing.unacked = max(0, outgoing.unacked - 1)
        if self._parked.pop(key, None) is not None:
            self._ready.append(outgoing)
            self._flush()

    def _watch(self, writable: bool) -> None:
        if writable == self._writing or not self._open:
            return
        self._writing = writable
        if writable:
            self._loop.add_writer(self._sock, self._flush)
        else:
            self._loop.remove_writer(self._sock)

    # --- receiving

    def _on_readable(self) -> None:
        try:
            count = self._sock.recv_into(self._buffer)
        except BlockingIOError:
            return
        except OSError as err:
            return self.close(f"reading from the agent: {err}")
        if count == 0:
            return self.close("the agent closed the socket")
        try:
            with memoryview(self._buffer) as view, view[:count] as received:
                messages = self._parser.feed(received)
        except wire.ProtocolError as err:
            return self.close(f"the agent broke the protocol: {err}")
        for message in messages:
            if message.kind == wire.ACK:
                self._acknowledge((message.data[0] if message.data else 0, message.id))
            else:
                self._receive(message)

    def close(self, reason: str) -> None:
        """Stop using the socket; tells the owner once."""
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        for outgoing in [self._current_of, *self._ready, *self._parked.values(), *self._waiting]:
            self._settle(outgoing)
        self._closed(reason)
