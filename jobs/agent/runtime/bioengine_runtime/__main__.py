"""Entry point: ``python -m bioengine_runtime`` with the agent's socket as descriptor 3."""

from __future__ import annotations

import asyncio
import atexit
import os
import socket
import sys

from . import logs
from .replica import Replica

_SOCKET = 3


async def _run() -> int:
    os.set_inheritable(_SOCKET, False)  # processes of the application must not hold it open
    sock = socket.socket(fileno=_SOCKET)
    return await Replica(sock).run()


def main() -> None:
    """Run the replica and leave, without waiting for threads that are still busy."""
    logs.line_buffer()
    logs.configure("INFO")
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    code = loop.run_until_complete(_run())
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
