"""``ray.exceptions`` and ``ray.serve.exceptions`` as far as handle calls raise them."""

from __future__ import annotations

import sys


class RayError(Exception):
    """Base of all errors of this package."""


class RayTaskError(RayError):
    """A method of another deployment raised; its text is the remote traceback.

    `make` returns an instance that is of the original class too, so that callers
    can catch either.
    """

    def __init__(self, function_name: str, traceback_str: str, cause: BaseException | None = None):
        RayError.__init__(self, traceback_str)
        self.function_name = function_name
        self.traceback_str = traceback_str
        self.cause = cause

    def __str__(self) -> str:
        return self.traceback_str

    def __reduce__(self):
        return RayTaskError.make, (self.function_name, self.traceback_str, self.cause)

    @staticmethod
    def make(function_name: str, traceback_str: str, cause: BaseException | None) -> RayTaskError:
        """The error, deriving from the class of `cause` where Python allows it."""
        kind = _dual(type(cause) if isinstance(cause, Exception) else None)
        err = kind.__new__(kind)
        RayTaskError.__init__(err, function_name, traceback_str, cause)
        if cause is not None:
            err.__cause__ = cause
            vars(err).update({k: v for k, v in vars(cause).items() if k not in vars(err)})
        return err


def _dual(cause: type[Exception] | None) -> type[RayTaskError]:
    """A class that is a RayTaskError, the image's own one if loaded, and `cause`."""
    bases: tuple[type, ...] = (RayTaskError,)
    real = getattr(sys.modules.get("ray.exceptions"), "RayTaskError", RayTaskError)
    name = "RayTaskError"
    for extra in (real, cause):
        if extra is None or any(issubclass(base, extra) for base in bases):
            continue
        bases += (extra,)
        name = f"RayTaskError({extra.__name__})" if extra is cause else name
    if bases == (RayTaskError,):
        return RayTaskError
    try:
        return type(name, bases, {"__module__": "ray.exceptions"})
    except TypeError:  # classes whose memory layouts do not fit together
        return RayTaskError


class RayActorError(RayError):
    """The replica that ran the call is gone."""


class ActorDiedError(RayActorError):
    """The replica that ran the call died."""


class GetTimeoutError(RayError, TimeoutError):
    """A result did not arrive in time."""


class RayServeException(Exception):
    """Misuse of ``ray.serve``, or a refusal by it."""


class BackPressureError(RayServeException):
    """A deployment's queue is full."""


class RequestCancelledError(RayServeException):
    """The request was cancelled."""
