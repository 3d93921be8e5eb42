"""Exceptions as the text that callers and logs see.

A text is a traceback without the frames of this package and of the RPC library;
its last line is ``<Class>: <message>`` (contract 0.2).
"""

from __future__ import annotations

import concurrent.futures.thread
import importlib.util
import os
import traceback

_OWN = os.path.dirname(os.path.abspath(__file__)) + os.sep


def _machinery() -> tuple[str, ...]:
    places = [_OWN, "<frozen importlib", concurrent.futures.thread.__file__]
    spec = importlib.util.find_spec("hypha_rpc")
    if spec is not None and spec.origin:
        places.append(os.path.dirname(spec.origin) + os.sep)
    return tuple(places)


class Formatter:
    """Formats exceptions, leaving out the frames that are not the author's.

    Files of the application appear under their names in it, not with the folder
    they happen to lie in here.
    """

    def __init__(self) -> None:
        self._hidden = _machinery()
        self.folder = ""  # of the application's files, with a trailing separator

    def text(self, err: BaseException) -> str:
        """The traceback of `err`, or only its last line when no frame is the author's."""
        whole = traceback.TracebackException.from_exception(err)
        self._clean(whole, set())
        if not whole.stack and whole.__cause__ is None and whole.__context__ is None:
            return "".join(whole.format_exception_only()).strip()
        return "".join(whole.format()).strip()

    def _clean(self, part: traceback.TracebackException | None, seen: set[int]) -> None:
        if part is None or id(part) in seen:
            return
        seen.add(id(part))
        kept = [self._named(f) for f in part.stack if not f.filename.startswith(self._hidden)]
        part.stack = traceback.StackSummary.from_list(kept)
        if isinstance(getattr(part, "filename", None), str):  # of a syntax error
            part.filename = self._name(part.filename)
        self._clean(part.__cause__, seen)
        self._clean(part.__context__, seen)

    def _named(self, frame: traceback.FrameSummary) -> traceback.FrameSummary:
        name = self._name(frame.filename)
        if name == frame.filename:
            return frame
        return traceback.FrameSummary(
            name, frame.lineno, frame.name, lookup_line=False, line=frame.line,
            end_lineno=frame.end_lineno, colno=frame.colno, end_colno=frame.end_colno,
        )

    def _name(self, filename: str) -> str:
        return filename.removeprefix(self.folder) if self.folder else filename


def summary(err: BaseException) -> str:
    """``<Class>: <message>``."""
    return "".join(traceback.format_exception_only(err)).strip()


def last_line(text: str) -> str:
    """The last line that is not blank."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), text)
