"""The accepted Hypha calls that have not ended.

Each accepted call ends exactly once: with the frame that RPC makes, or with a
rejection made here when RPC makes none.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any, Callable, Iterable

DEFAULT_BEAT_S = 15.0
_MIN_BEAT_S = 0.5
_MAX_BEAT_S = 3600.0

current: ContextVar[Call | None] = ContextVar("bioengine_call", default=None)


class Call:
    """One open call of `peer`, waiting in its `session`."""

    __slots__ = ("key", "peer", "session", "interval", "failure", "tasks", "timer")

    def __init__(self, key: bytes, peer: str, session: str, interval: float):
        self.key, self.peer, self.session, self.interval = key, peer, session, interval
        self.failure = ""  # clean text of the exception on its way through RPC
        self.tasks: list[asyncio.Task] = []
        self.timer: asyncio.TimerHandle | None = None


class Calls:
    """The table of open calls; their number is bounded by the relay's admission."""

    def __init__(self, loop: asyncio.AbstractEventLoop, beat: Callable[[Call], None],
                 abandon: Callable[[Call], None]):
        """`beat` keeps a caller waiting; `abandon` ends a call that nothing works on any more."""
        self._loop, self._beat, self._abandon = loop, beat, abandon
        self._by_session: dict[tuple[str, str], Call] = {}
        self._by_key: dict[bytes, Call] = {}
        self.idle = asyncio.Event()
        self.idle.set()

    def open(self, key: bytes, peer: str, session: str, interval: Any) -> Call | None:
        """A new call; None when the peer has an open call of this session already."""
        if (peer, session) in self._by_session or key in self._by_key:
            return None
        call = Call(key, peer, session, _clamp(interval))
        self._by_session[peer, session] = self._by_key[key] = call
        self.idle.clear()
        self._schedule(call)
        return call

    def end(self, peer: str, session: str) -> Call | None:
        """Take the call off the table; None when it ended before or never was."""
        call = self._by_session.pop((peer, session), None)
        if call is None:
            return None
        del self._by_key[call.key]
        call.timer.cancel()
        if not self._by_key:
            self.idle.set()
        return call

    def find(self, peer: str, session: str) -> Call | None:
        """The open call, or None."""
        return self._by_session.get((peer, session))

    def is_open(self, call: Call) -> bool:
        return self._by_key.get(call.key) is call

    def work(self, call: Call, tasks: Iterable[asyncio.Task]) -> None:
        """Remember what works on the call; when all of it is done, the call must have ended."""
        call.tasks = [t for t in tasks if not t.done()]
        left = len(call.tasks)
        if not left and self.is_open(call):
            return self._abandon(call)

        def done(_: asyncio.Task) -> None:
            nonlocal left
            left -= 1
            if not left and self.is_open(call):
                self._abandon(call)

        for task in call.tasks:
            task.add_done_callback(done)

    def cancel(self, key: bytes) -> None:
        """Stop working on a call."""
        call = self._by_key.get(key)
        for task in call.tasks if call else ():
            task.cancel()

    def cancel_peer(self, peer: str) -> None:
        """Stop working for a caller that has left."""
        for call in [c for c in self._by_key.values() if c.peer == peer]:
            self.cancel(call.key)

    def cancel_all(self) -> None:
        """Stop working."""
        for key in list(self._by_key):
            self.cancel(key)

    def _schedule(self, call: Call) -> None:
        call.timer = self._loop.call_later(call.interval, self._tick, call)

    def _tick(self, call: Call) -> None:
        self._beat(call)
        self._schedule(call)


def recorder(previous: Callable | None, created: list[asyncio.Task]) -> Callable:
    """A task factory that also remembers the tasks it makes."""

    def factory(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task:
        task = previous(loop, coro, **options) if previous else asyncio.Task(coro, loop=loop, **options)
        created.append(task)
        return task

    return factory


def _clamp(interval: Any) -> float:
    """Seconds between heartbeats; the caller's wish is not trusted to be sane."""
    if isinstance(interval, bool) or not isinstance(interval, (int, float)) or interval != interval:
        return DEFAULT_BEAT_S
    return min(max(float(interval), _MIN_BEAT_S), _MAX_BEAT_S)
