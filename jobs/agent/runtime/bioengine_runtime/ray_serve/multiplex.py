"""``@serve.multiplexed``: a least-recently-used store of models per replica."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections import OrderedDict
from typing import Any, Callable


class _Models:
    """The loaded models of one instance; concurrent loads of one id are one load."""

    def __init__(self, load: Callable, limit: int):
        self._load, self._limit = load, limit
        self._tasks: OrderedDict[str, asyncio.Task] = OrderedDict()

    async def get(self, model_id: str) -> Any:
        task = self._tasks.get(model_id)
        if task is None:
            await self._make_room()
            task = self._tasks.get(model_id)
        if task is None:
            task = asyncio.ensure_future(self._load(model_id))
            self._tasks[model_id] = task
        self._tasks.move_to_end(model_id)
        try:
            return await asyncio.shield(task)
        except BaseException:
            if task.done() and (task.cancelled() or task.exception()):
                if self._tasks.get(model_id) is task:
                    del self._tasks[model_id]
            raise

    async def _make_room(self) -> None:
        while self._limit > 0 and len(self._tasks) >= self._limit:
            _, task = self._tasks.popitem(last=False)
            try:
                await _dispose(await task)
            except Exception:  # a model that never loaded has nothing to give back
                continue


async def _dispose(model: Any) -> None:
    """Run an asynchronous ``__del__``; a plain one runs when the last reference goes."""
    end = getattr(type(model), "__del__", None)
    if inspect.iscoroutinefunction(end):
        await end(model)


def multiplexed(func: Callable | None = None, *, max_num_models_per_replica: int = 3) -> Any:
    """Turn an async loader ``(self, model_id)`` into a per-replica store (contract 3.5)."""
    if func is None:
        return functools.partial(multiplexed, max_num_models_per_replica=max_num_models_per_replica)
    if not inspect.iscoroutinefunction(func):
        raise TypeError("@serve.multiplexed can only be used to decorate async functions.")
    attribute = f"_multiplexed_{func.__name__}"

    @functools.wraps(func)
    async def load(self: Any, model_id: str) -> Any:
        if not isinstance(model_id, str) or not model_id:
            raise TypeError("The model id must be a string that is not empty.")
        store = self.__dict__.get(attribute)
        if store is None:
            store = _Models(functools.partial(func, self), max_num_models_per_replica)
            self.__dict__[attribute] = store
        return await store.get(model_id)

    return load
