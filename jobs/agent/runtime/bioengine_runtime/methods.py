"""Which methods of the entry class clients can call, and what is said about them."""

from __future__ import annotations

import copy
from typing import Any, Callable

# Keys of a service that are not methods (hypha-protocol 4.3).
_RESERVED = {"id", "name", "type", "description", "docs", "config", "app_id", "service_schema"}


def names(cls: type) -> list[str]:
    """The schema methods of a class and its bases, in alphabetical order.

    Raises ValueError when there is none, or when a name means something else.
    """
    found = [n for n in dir(cls) if not n.startswith("_") and _is_schema_method(getattr(cls, n, None))]
    if not found:
        raise ValueError(f"No schema methods found in the entry deployment class: {cls.__name__}.")
    reserved = sorted(_RESERVED.intersection(found))
    if reserved:
        raise ValueError(
            f"Schema method '{reserved[0]}' of {cls.__name__} needs another name: "
            "it is the name of a service property."
        )
    return found


def _is_schema_method(member: Any) -> bool:
    return callable(member) and isinstance(getattr(member, "__schema__", None), dict)


def schema(method: Callable) -> dict[str, Any]:
    """The schema of a method without ``context``, which callers cannot give."""
    result = copy.deepcopy(method.__schema__)
    parameters = result.get("parameters") or {}
    parameters.get("properties", {}).pop("context", None)
    required = parameters.get("required")
    if required is not None and "context" in required:
        required.remove("context")
        if not required:
            del parameters["required"]
    return result
