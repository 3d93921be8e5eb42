"""Notes the bytes of the arguments of `take` as they arrive in the replica, before anything decodes them.

It looks into the runtime that it runs in, which no ordinary application should.
"""

import hashlib
import sys

from hypha_rpc.utils.schema import schema_method
from ray import serve

_frames = sys.modules["bioengine_runtime.frames"]
_payload = _frames.payload
_seen: list = []


def _note(data, start):
    if b".take" in bytes(data[:start]):
        _seen.append(hashlib.sha256(bytes(data[start:])).hexdigest())
    return _payload(data, start)


_frames.payload = _note


@serve.deployment(ray_actor_options={"num_cpus": 1})
class Wiretap:
    @schema_method
    async def take(self, value=None) -> str:
        """Take anything."""
        return type(value).__name__

    @schema_method
    async def seen(self) -> list:
        """Return the SHA-256 of each argument payload of `take`, in order of arrival."""
        return list(_seen)
