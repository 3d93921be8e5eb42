"""``serve.get_replica_context`` and the model id of a multiplexed request."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from .exceptions import RayServeException

multiplexed_model_id: ContextVar[str] = ContextVar("multiplexed_model_id", default="")


@dataclass(frozen=True)
class ReplicaContext:
    """Where the calling code runs."""

    app_name: str
    deployment: str
    replica_tag: str
    servable_object: Any = None

    @property
    def replica_id(self) -> str:
        return self.replica_tag


class _Current:
    """The one replica of this process; the public functions have no other way to find it."""

    replica: ReplicaContext | None = None


def set_replica_context(context: ReplicaContext) -> None:
    """Called by the runtime before the constructor, and again with the instance."""
    _Current.replica = context


def get_replica_context() -> ReplicaContext:
    """The context of this replica."""
    if _Current.replica is None:
        raise RayServeException(
            "`serve.get_replica_context()` may only be called from within a deployment."
        )
    return _Current.replica


def get_multiplexed_model_id() -> str:
    """The model id that the caller of this request asked for, or ''."""
    return multiplexed_model_id.get()
