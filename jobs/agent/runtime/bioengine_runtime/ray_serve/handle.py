"""``DeploymentHandle``: calling the methods of another deployment (contract 3.5)."""

from __future__ import annotations

import asyncio
import concurrent.futures
from typing import Any, Coroutine, Generator, Protocol

from .exceptions import RequestCancelledError

_OPTIONS = {"method_name", "multiplexed_model_id", "stream", "use_new_handle_api"}


class Caller(Protocol):
    """What carries a call to another replica; the runtime provides it."""

    loop: asyncio.AbstractEventLoop

    def call(self, deployment: str, method: str, args: tuple, kwargs: dict[str, Any],
             options: dict[str, Any]) -> Coroutine[Any, Any, Any]:
        """The coroutine that sends the call and returns its result.

        The arguments are taken as they are now; cancelling the coroutine cancels the call.
        """


class DeploymentResponse:
    """The result of a call that is already on its way.

    ``await`` it on an event loop, or use `result` in a thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, call: Coroutine[Any, Any, Any]):
        self._loop = loop
        self._task: asyncio.Task | None = None
        self._future: concurrent.futures.Future | None = None
        if _on(loop):
            self._task = loop.create_task(call)
            self._task.add_done_callback(_retrieve)
        else:
            self._future = asyncio.run_coroutine_threadsafe(call, loop)

    def __await__(self) -> Generator[Any, None, Any]:
        if self._task is not None and _on(self._loop):
            return self._task.__await__()
        return asyncio.wrap_future(self._shared()).__await__()

    def _shared(self) -> concurrent.futures.Future:
        if self._future is None:
            self._future = asyncio.run_coroutine_threadsafe(_value(self._task), self._loop)
        return self._future

    def result(self, timeout_s: float | None = None) -> Any:
        """Block this thread until the result is there; TimeoutError after `timeout_s`."""
        if _on(self._loop):
            raise RuntimeError(
                "Sync methods should not be called from within an `asyncio` event loop. "
                "Use `await response` instead."
            )
        try:
            return self._shared().result(timeout_s)
        except concurrent.futures.CancelledError:
            raise RequestCancelledError("the request was cancelled") from None

    def cancel(self) -> None:
        """Ask the other replica to stop working on this call."""
        if self._future is not None:
            self._future.cancel()
        elif _on(self._loop):
            self._task.cancel()
        else:
            self._loop.call_soon_threadsafe(self._task.cancel)


class DeploymentHandle:
    """Calls methods of a deployment: ``await handle.method.remote(*args, **kwargs)``."""

    def __init__(self, deployment_name: str, app_name: str, caller: Caller,
                 options: dict[str, Any] | None = None):
        self.deployment_name, self.app_name = deployment_name, app_name
        self._caller, self._options = caller, options or {}

    def options(self, **options: Any) -> DeploymentHandle:
        """A handle whose calls use these options."""
        unknown = sorted(options.keys() - _OPTIONS)
        if unknown:
            raise TypeError(f"DeploymentHandle.options() got an unexpected argument '{unknown[0]}'")
        if options.get("stream"):
            raise ValueError("Streaming calls between deployments are not supported: return a list.")
        merged = {**self._options, **options}
        return DeploymentHandle(self.deployment_name, self.app_name, self._caller, merged)

    def __getattr__(self, name: str) -> DeploymentHandle:
        if name.startswith("_"):
            raise AttributeError(name)
        return self.options(method_name=name)

    def remote(self, *args: Any, **kwargs: Any) -> DeploymentResponse:
        """Start the call."""
        options = dict(self._options)
        method = options.pop("method_name", "__call__")
        call = self._caller.call(self.deployment_name, method, args, kwargs, options)
        return DeploymentResponse(self._caller.loop, call)

    def __reduce__(self) -> Any:
        raise TypeError("a DeploymentHandle cannot be sent to another process")

    def __repr__(self) -> str:
        return f"DeploymentHandle(deployment='{self.deployment_name}')"


async def _value(task: asyncio.Task) -> Any:
    return await task


def _on(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def _retrieve(task: asyncio.Task) -> None:
    if not task.cancelled():
        task.exception()  # a response nobody awaits is no error of its own
