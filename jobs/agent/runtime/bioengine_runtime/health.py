"""Health of the deployment: the author's check and the one-time test (contract 3.6)."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Callable

from . import errors
from .invoke import Invoker

_TEST_FAILED = "Deployment test failed - deployment is unhealthy"


class Health:
    """Checks one instance; one check at a time."""

    def __init__(self, instance: Any, invoker: Invoker, logger: logging.Logger,
                 format: Callable[[BaseException], str]):
        self._instance, self._invoker = instance, invoker
        self._logger, self._format = logger, format
        self._lock = asyncio.Lock()
        self._test: asyncio.Task | None = None
        self._failure: BaseException | None = None

    async def check(self) -> None:
        """Return when healthy; raise what is wrong otherwise."""
        async with self._lock:
            if self._failure is not None:
                reason = errors.summary(self._failure)
                raise RuntimeError(f"{_TEST_FAILED} ({reason})") from self._failure
            check = self._method("check_health")
            if check is not None:
                await self._invoker.call(check)

    def start_test(self) -> None:
        """Run ``test_deployment`` beside everything else; nothing waits for it."""
        if self._test is None and self._method("test_deployment") is not None:
            self._test = asyncio.create_task(self._run_test())

    async def _run_test(self) -> None:
        try:
            await self._invoker.call(self._method("test_deployment"))
        except (Exception, asyncio.CancelledError) as err:
            self._failure = err
            self._logger.error("test_deployment failed:\n%s", self._format(err))

    def _method(self, name: str) -> Callable | None:
        method = getattr(self._instance, name, None)
        return method if callable(method) else None
