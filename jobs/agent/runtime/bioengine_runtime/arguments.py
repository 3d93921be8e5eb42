"""Constructor arguments of a deployment: checks and texts of contract 3.4."""

from __future__ import annotations

import inspect
import types
import typing
from typing import Any, Callable, Mapping

_UNION = (typing.Union, types.UnionType)


def build(cls: type, given: Mapping[str, Any], handles: Mapping[str, Any],
          handle_type: type) -> dict[str, Any]:
    """The keyword arguments for `cls`: the given ones checked, plus the handles.

    `handles` maps parameter names to handles. Raises ValueError with the
    contract's text when something does not fit the signature.
    """
    parameters = _parameters(cls)
    for name, value in given.items():
        _check_given(name, value, parameters)
    for name in handles:
        _check_handle(name, cls, parameters, handle_type)
    arguments = {**given, **handles}
    for parameter in _named(parameters):
        if parameter.default is inspect.Parameter.empty and parameter.name not in arguments:
            raise ValueError(
                f"Missing required parameter '{parameter.name}' of type "
                f"{_type_name(parameter.annotation)}."
            )
    return arguments


def _parameters(cls: type) -> list[inspect.Parameter]:
    if cls.__init__ is object.__init__:
        return []
    return list(inspect.signature(cls.__init__).parameters.values())[1:]


def _named(parameters: list[inspect.Parameter]) -> list[inspect.Parameter]:
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p for p in parameters if p.kind not in variadic]


def _check_given(name: str, value: Any, parameters: list[inspect.Parameter]) -> None:
    named = {p.name: p for p in _named(parameters)}
    if name in named:
        return _check_type(name, value, named[name].annotation)
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
        raise ValueError(f"Unexpected parameter '{name}' provided. Expected one of {list(named)}.")


def _check_type(name: str, value: Any, annotation: Any) -> None:
    origin = typing.get_origin(annotation)
    expected = annotation if origin is None else origin
    if origin in _UNION or not isinstance(expected, type):
        return
    try:
        fits = isinstance(value, expected)
    except TypeError:  # Any and protocols are classes that isinstance refuses
        return
    if not fits:
        raise ValueError(
            f"Parameter '{name}' must be of type {_type_name(annotation)}, "
            f"but got {type(value).__name__}."
        )


def _check_handle(name: str, cls: type, parameters: list[inspect.Parameter], handle_type: type) -> None:
    named = {p.name: p for p in _named(parameters)}
    if name not in named:
        raise ValueError(
            f"Parameter '{name}' not found in entry deployment '{cls.__name__}' init method. "
            f"Available parameters: {list(named)}"
        )
    annotation = named[name].annotation
    if not _is_handle(annotation, handle_type):
        raise ValueError(
            f"Parameter '{name}' of entry deployment '{cls.__name__}' must be of type "
            f"DeploymentHandle, but got {_type_name(annotation)}"
        )


def _is_handle(annotation: Any, handle_type: type) -> bool:
    if isinstance(annotation, str):  # postponed annotations
        return annotation.strip("'\" ").rpartition(".")[2] == handle_type.__name__
    if typing.get_origin(annotation) in _UNION:
        return any(_is_handle(a, handle_type) for a in typing.get_args(annotation))
    return isinstance(annotation, type) and issubclass(annotation, handle_type)


def _type_name(annotation: Any) -> str:
    if annotation is inspect.Parameter.empty:
        return "unknown"
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:
        return annotation.__name__
    return annotation if isinstance(annotation, str) else str(annotation)


def declares_context(method: Callable) -> bool:
    """Whether a method has a parameter named ``context``."""
    try:
        return "context" in inspect.signature(method).parameters
    except (TypeError, ValueError):
        return False
