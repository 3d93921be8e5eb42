"""Output of a replica: line-buffered streams and the ``ray.serve`` logger."""

from __future__ import annotations

import logging
import sys

_FORMAT = "%(levelname)s %(asctime)s %(name)s %(filename)s:%(lineno)d - %(message)s"


def line_buffer() -> None:
    """Let each line leave the process when it ends, whatever bytes it holds."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, encoding="utf-8", errors="backslashreplace")


def configure(level: str) -> logging.Logger:
    """Send the ``ray.serve`` logger to stderr; an unknown level means INFO."""
    logger = logging.getLogger("ray.serve")
    number = logging.getLevelNamesMapping().get(str(level).upper(), logging.INFO)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(_FORMAT))
    logger.handlers[:] = [handler]
    logger.setLevel(number)
    logger.propagate = False  # the root logger would print each line again
    return logger
