"""Control messages between agent and runtime: JSON objects with a ``type``.

To the runtime: start, health, cancel, peer_gone, drain, stop. From it: step,
ready, failed, health, drained. Unknown types and fields are ignored.
"""

from __future__ import annotations

import base64
import json
import platform
from dataclasses import dataclass, field
from typing import Any

from . import errors


_TEXT_LIMIT = 64 * 1024  # characters of an error or a traceback


class BadControl(Exception):
    """A control message that does not have the agreed form."""


@dataclass(frozen=True)
class Options:
    """The part of the deployment's options that the runtime acts on."""

    max_ongoing: int = 5
    log_level: str = "INFO"
    user_config: Any = None


@dataclass(frozen=True)
class Start:
    """What the agent was assigned: one replica of one deployment."""

    tag: str
    application: str
    deployment: str
    file: str
    class_name: str
    files: dict[str, bytes]
    kwargs: bytes = b""
    env: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    work_dir: str = ""
    hypha: dict[str, Any] | None = None
    handles: list[dict[str, str]] = field(default_factory=list)
    options: Options = Options()
    entry: bool = False


def parse(data: bytes | bytearray) -> dict[str, Any]:
    """The message; it has a ``type`` that is a string."""
    try:
        message = json.loads(data)
    except ValueError as err:
        raise BadControl(f"not JSON: {err}") from err
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise BadControl("not an object with a type")
    return message


def start(message: dict[str, Any]) -> Start:
    """The assignment in a start message."""
    try:
        return Start(
            tag=_text(message, "tag"),
            application=_text(message, "application"),
            deployment=_text(message, "deployment"),
            file=_text(message, "file"),
            class_name=_text(message, "class"),
            files={n: base64.b64decode(c) for n, c in (message.get("files") or {}).items()},
            kwargs=base64.b64decode(message.get("kwargs") or ""),
            env=dict(message.get("env") or {}),
            secrets=dict(message.get("secrets") or {}),
            work_dir=message.get("work_dir") or "",
            hypha=message.get("hypha") or None,
            handles=list(message.get("handles") or []),
            options=_options(message.get("options") or {}),
            entry=bool(message.get("entry")),
        )
    except (TypeError, ValueError, AttributeError) as err:
        raise BadControl(f"start message: {err}") from err


def _text(message: dict[str, Any], key: str) -> str:
    value = message.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"'{key}' must be a string that is not empty")
    return value


def _options(given: dict[str, Any]) -> Options:
    return Options(
        max_ongoing=max(1, int(given.get("max_ongoing") or 5)),
        log_level=str(given.get("log_level") or "INFO"),
        user_config=given.get("user_config"),
    )


def step(name: str) -> dict[str, Any]:
    """The step that begins now."""
    return {"type": "step", "step": name}


def ready(description: bytes, registration: bytes, methods: list[str], hypha_rpc: str) -> dict[str, Any]:
    """The replica can take calls."""
    return {
        "type": "ready",
        "description": base64.b64encode(description).decode(),
        "registration": base64.b64encode(registration).decode(),
        "methods": methods,
        "python": platform.python_version(),
        "hypha_rpc": hypha_rpc,
    }


def failed(name: str, err: BaseException, traceback: str) -> dict[str, Any]:
    """The replica will never be ready; the process ends after this."""
    error = _clip(errors.summary(err))
    return {"type": "failed", "step": name, "error": error, "traceback": _clip(traceback)}


def health(id: Any, err: BaseException | None) -> dict[str, Any]:
    """The answer to a health question."""
    message = {"type": "health", "id": id, "ok": err is None}
    return message if err is None else message | {"error": _clip(errors.summary(err))}


def drained() -> dict[str, Any]:
    """No call is open any more, or the time for it is over."""
    return {"type": "drained"}


def _clip(text: str) -> str:
    """The text, or its beginning and its end."""
    if len(text) <= _TEXT_LIMIT:
        return text
    half = _TEXT_LIMIT // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters ...]\n{text[-half:]}"
