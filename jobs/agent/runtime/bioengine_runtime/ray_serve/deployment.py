"""``@serve.deployment``: keeps the class and its options, runs nothing.

The controller has read the options statically; here they are only remembered so
that code which looks at its own deployment finds what Ray would show it.
"""

from __future__ import annotations

from typing import Any, Callable

_DEFAULTS: dict[str, Any] = {
    "version": None,
    "num_replicas": 1,
    "route_prefix": None,
    "ray_actor_options": None,
    "user_config": None,
    "max_ongoing_requests": 5,
    "max_queued_requests": -1,
    "autoscaling_config": None,
    "graceful_shutdown_wait_loop_s": 2.0,
    "graceful_shutdown_timeout_s": 20.0,
    "health_check_period_s": 10.0,
    "health_check_timeout_s": 30.0,
    "logging_config": None,
}


class Application:
    """What `Deployment.bind` returns: a deployment with its arguments."""

    def __init__(self, bound: Deployment, args: tuple, kwargs: dict[str, Any]):
        self._bound_deployment, self._args, self._kwargs = bound, args, kwargs


class Deployment:
    """A class and the options given to the decorator."""

    def __init__(self, func_or_class: Callable, options: dict[str, Any]):
        self.func_or_class = func_or_class
        self.name = options.get("name") or func_or_class.__name__
        self._options = {**_DEFAULTS, **options, "name": self.name}
        self._options["ray_actor_options"] = dict(self._options["ray_actor_options"] or {})
        self.__doc__ = func_or_class.__doc__

    def __getattr__(self, name: str) -> Any:
        options = self.__dict__.get("_options", {})
        if name in options:
            return options[name]
        raise AttributeError(f"'Deployment' object has no attribute '{name}'")

    def options(self, func_or_class: Callable | None = None, **changes: Any) -> Deployment:
        """A copy with some options changed."""
        return Deployment(func_or_class or self.func_or_class, {**self._options, **changes})

    def bind(self, *args: Any, **kwargs: Any) -> Application:
        """Remember constructor arguments."""
        return Application(self, args, kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            "Deployments cannot be constructed directly. "
            "Use `deployment.func_or_class()` to make an instance of the class."
        )

    def __repr__(self) -> str:
        return f"Deployment(name={self.name})"


def deployment(_func_or_class: Callable | None = None, **options: Any) -> Any:
    """The decorator, bare or with options."""

    def decorate(func_or_class: Callable) -> Deployment:
        return Deployment(func_or_class, options)

    return decorate(_func_or_class) if callable(_func_or_class) else decorate
