"""Puts our ``ray.serve`` into the import system.

Without real Ray in the image ``ray`` and ``ray.exceptions`` are ours too. With it
``ray`` stays the real package, except that ``ray.serve`` is always ours and
connecting to a cluster is refused by name.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from types import ModuleType
from typing import Any, Callable

from . import context, deployment, exceptions, handle, multiplex

VERSION = "2.33.0"  # the API level followed

_SERVE = {
    "deployment": deployment.deployment,
    "Deployment": deployment.Deployment,
    "Application": deployment.Application,
    "get_replica_context": context.get_replica_context,
    "get_multiplexed_model_id": context.get_multiplexed_model_id,
    "multiplexed": multiplex.multiplexed,
}
_ERRORS = ("RayError", "RayTaskError", "RayActorError", "ActorDiedError", "GetTimeoutError")
_SERVE_ERRORS = ("RayServeException", "BackPressureError", "RequestCancelledError")


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules of a table."""

    def __init__(self, modules: dict[str, ModuleType]):
        self._modules = modules

    def find_spec(self, fullname: str, path: Any, target: Any = None):
        module = self._modules.get(fullname)
        if module is None:
            return None
        package = hasattr(module, "__path__")
        return importlib.machinery.ModuleSpec(fullname, self, is_package=package)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return self._modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        return None


def install() -> None:
    """Make ``ray.serve`` importable; call once, before the application's code."""
    real = importlib.util.find_spec("ray") is not None
    modules = _serve_modules()
    if not real:
        modules |= _ray_modules(modules["ray.serve"])
    _claim(modules)
    sys.meta_path.insert(0, _Finder(modules))
    if real:
        sys.meta_path.insert(0, _InitGuard())


def _serve_modules() -> dict[str, ModuleType]:
    serve = _module("ray.serve", _SERVE, package=True)
    serve.handle = _module("ray.serve.handle", {
        "DeploymentHandle": handle.DeploymentHandle,
        "DeploymentResponse": handle.DeploymentResponse,
    })
    serve.exceptions = _module("ray.serve.exceptions", _errors(_SERVE_ERRORS))
    return {m.__name__: m for m in (serve, serve.handle, serve.exceptions)}


def _ray_modules(serve: ModuleType) -> dict[str, ModuleType]:
    ray = _module("ray", {"__version__": VERSION, "init": _init, "serve": serve}, package=True)
    ray.exceptions = _module("ray.exceptions", _errors(_ERRORS))
    return {"ray": ray, "ray.exceptions": ray.exceptions}


def _errors(names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(exceptions, name) for name in names}


def _module(name: str, members: dict[str, Any], package: bool = False) -> ModuleType:
    module = ModuleType(name, "Provided by bioengine-hpc.")
    vars(module).update(members)
    if package:
        module.__path__ = []
    return module


def _claim(modules: dict[str, ModuleType]) -> None:
    """Let classes name the module users import them from (tracebacks, pickles)."""
    for name, module in modules.items():
        for member in vars(module).values():
            if isinstance(member, type):
                member.__module__ = name


def _refuse(address: Any) -> None:
    raise RuntimeError(
        f"ray.init({address!r}) is refused: this deployment runs in a Slurm job without a Ray "
        "cluster; call the other deployments through a DeploymentHandle"
    )


def _init(address: str | None = None, *args: Any, **kwargs: Any) -> None:
    """``ray.init`` where there is no Ray."""
    _refuse(address)


def _guarded(real_init: Callable) -> Callable:
    """The real ``ray.init``, refusing the address of a cluster."""

    @functools.wraps(real_init)
    def init(address: str | None = None, *args: Any, **kwargs: Any) -> Any:
        if isinstance(address, str) and address.startswith("ray://"):
            _refuse(address)
        return real_init(address, *args, **kwargs)

    return init


class _InitGuard(importlib.abc.MetaPathFinder):
    """Guards ``ray.init`` of the real package when it is first imported."""

    def find_spec(self, fullname: str, path: Any, target: Any = None):
        if fullname != "ray":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec("ray")
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            module.init = _guarded(module.init)

        spec.loader.exec_module = exec_module
        return spec
