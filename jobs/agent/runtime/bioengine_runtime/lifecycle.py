"""The steps from files to a deployment that can take calls (contract 3.6).

import, init, async_init, check_health: each is reported when it begins, and the
first one that raises ends the replica.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Awaitable, Callable

import msgpack

from . import arguments, control, environment, errors, logs, methods, rpc
from .channel import Channel
from .handles import HandleCaller
from .health import Health
from .invoke import Invoker
from .ray_serve import context, install
from .ray_serve.handle import DeploymentHandle
from .rpc_service import RpcService
from .serving import HandleServer
from .sources import Sources, find_deployment


@dataclass
class Deployed:
    """A deployment that can take calls, and how it is described to clients."""

    instance: Any
    health: Health
    server: HandleServer
    service: RpcService | None
    ready: dict[str, Any]


class Lifecycle:
    """Brings one assignment up, step by step."""

    def __init__(self, start: control.Start, channel: Channel, caller: HandleCaller, invoker: Invoker):
        self._start, self._channel = start, channel
        self._caller, self._invoker = caller, invoker
        self._formatter = errors.Formatter()
        self._logger = logs.configure(start.options.log_level)
        self.sources: Sources | None = None
        self._class: type | None = None
        self._names: list[str] = []
        self._instance: Any = None
        self._health: Health | None = None

    async def run(self) -> Deployed | None:
        """The deployment, or None after reporting why there is none."""
        steps: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("import", self._import),
            ("init", self._init),
            ("async_init", self._async_init),
            ("check_health", self._check_health),
        ]
        for name, action in steps:
            await self._report(control.step(name))
            try:
                await action()
            except (Exception, SystemExit) as err:
                return await self._fail(name, err)
        try:
            return await self._deployed()
        except Exception as err:
            return await self._fail(name, err)

    async def _report(self, message: dict[str, Any]) -> None:
        # The next step may block the loop for minutes: let the message leave before.
        await self._channel.written(self._channel.control(message))

    async def _fail(self, name: str, err: BaseException) -> None:
        text = self._formatter.text(err)
        self._logger.error("%s failed:\n%s", name, text)
        await self._report(control.failed(name, err, text))

    async def _import(self) -> None:
        start = self._start
        environment.apply(start.env, start.secrets, start.work_dir)
        install.install()
        if start.hypha:
            rpc.tag_ids(start.tag)
            await rpc.check(start.tag)
        self.sources = Sources(start.files)
        self._formatter.folder = f"{self.sources.folder}/"
        module = self.sources.load(start.file, {**start.env, **start.secrets})
        artifact = start.env.get("HYPHA_ARTIFACT_ID", "")
        self._class = find_deployment(module, start.class_name, artifact).func_or_class
        if start.entry:
            self._names = methods.names(self._class)

    async def _init(self) -> None:
        start = self._start
        handles = {
            h["parameter"]: DeploymentHandle(h["deployment"], start.application, self._caller)
            for h in start.handles
        }
        given = msgpack.unpackb(start.kwargs) if start.kwargs else {}
        kwargs = arguments.build(self._class, given, handles, DeploymentHandle)
        self._set_context(None)
        self._instance = self._class(**kwargs)
        self._set_context(self._instance)
        await self._reconfigure(start.options.user_config)

    def _set_context(self, instance: Any) -> None:
        start = self._start
        context.set_replica_context(
            context.ReplicaContext(start.application, start.deployment, start.tag, instance)
        )

    async def _reconfigure(self, user_config: Any) -> None:
        if user_config is None:
            return
        reconfigure = getattr(self._instance, "reconfigure", None)
        if reconfigure is None:
            raise ValueError(
                f"user_config is given, but {self._class.__name__} has no method 'reconfigure'"
            )
        await self._invoker.call(reconfigure, user_config)

    async def _async_init(self) -> None:
        initialise = getattr(self._instance, "async_init", None)
        if initialise is not None:
            await self._invoker.call(initialise)

    async def _check_health(self) -> None:
        self._health = Health(self._instance, self._invoker, self._logger, self._formatter.text)
        await self._health.check()

    async def _deployed(self) -> Deployed:
        start, service, description = self._start, None, (b"", b"")
        log, format = self._logger.warning, self._formatter.text
        if start.hypha:
            service = RpcService(start.tag, start.hypha, self._channel, self._invoker, log, format)
            service.add(self._instance, self._names)
            description = await service.describe()
        limit = start.options.max_ongoing
        server = HandleServer(self._instance, self._health, self._invoker, self._channel, limit, format)
        ready = control.ready(*description, self._names, rpc.version())
        return Deployed(self._instance, self._health, server, service, ready)


async def destroy(instance: Any, invoker: Invoker) -> None:
    """Run the author's ``__del__`` the way Ray Serve does when a replica stops."""
    end = getattr(instance, "__del__", None)
    if end is not None:
        await invoker.call(end)
