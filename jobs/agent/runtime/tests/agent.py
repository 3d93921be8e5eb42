"""A stand-in for the agent: starts the real runtime and speaks its socket protocol."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgpack

PACKAGE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PACKAGE))

from bioengine_runtime import wire  # noqa: E402

TAG = "r7x3"
WORKSPACE, CLIENT = "ws-test", "app-client"
ADDRESS = f"{WORKSPACE}/{CLIENT}"
TIMEOUT = 30.0


class Agent:
    """One runtime process and the agent's end of its socket."""

    def __init__(self, ack: bool = True):
        self.ack = ack  # whether fragments are acknowledged at once
        self.control: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.hypha: asyncio.Queue[wire.Message] = asyncio.Queue()
        self.calls: asyncio.Queue[wire.Message] = asyncio.Queue()
        self.results: dict[int, asyncio.Future[wire.Message]] = {}
        self.cancelled: list[int] = []
        self.frames: list[tuple[int, int, int, int]] = []  # kind, flags, id, bytes
        self.steps: list[str] = []
        self.output: dict[str, list[str]] = {"stdout": [], "stderr": []}
        self.home = Path(tempfile.mkdtemp(prefix="runtime-test-"))
        self._ids = itertools.count(1)
        self._tasks: list[asyncio.Task] = []

    async def launch(self, env: dict[str, str] | None = None) -> Agent:
        """Start the process; it waits for a start message."""
        ours, theirs = socket.socketpair()
        pipes = {name: os.pipe() for name in ("stdout", "stderr")}
        actions = [
            (os.POSIX_SPAWN_DUP2, theirs.fileno(), 3),
            (os.POSIX_SPAWN_DUP2, pipes["stdout"][1], 1),
            (os.POSIX_SPAWN_DUP2, pipes["stderr"][1], 2),
        ]
        unpacked = self.home / "runtime"  # as the agent does: a folder of its own
        shutil.copytree(PACKAGE / "bioengine_runtime", unpacked / "bioengine_runtime")
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(unpacked), "HOME": str(self.home),
                       "PYTHONDONTWRITEBYTECODE": "1", **(env or {})}
        argv = [sys.executable, "-P", "-m", "bioengine_runtime"]
        self.pid = os.posix_spawn(sys.executable, argv, environment, file_actions=actions)
        theirs.close()
        for name, (reader, writer) in pipes.items():
            os.close(writer)
            self._tasks.append(asyncio.create_task(self._lines(name, reader)))
        self.reader, self.writer = await asyncio.open_connection(sock=ours, limit=2**20)
        self._tasks.append(asyncio.create_task(self._read()))
        return self

    async def _lines(self, name: str, fd: int) -> None:
        reader = asyncio.StreamReader(limit=2**24)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb"))
        while line := await reader.readline():
            self.output[name].append(line.decode().rstrip("\n"))

    async def _read(self) -> None:
        parser = wire.Parser()
        try:
            while header := await self.reader.readexactly(10):
                length, kind, flags, id = wire._HEADER.unpack(header)
                payload = await self.reader.readexactly(length - 6)
                self.frames.append((kind, flags, id, len(payload)))
                if self.ack and kind in (wire.HYPHA, wire.CALL, wire.RESULT, wire.CONTROL):
                    self.writer.write(wire.bare_frame(wire.ACK, id, bytes([kind])))
                for message in parser.feed(memoryview(header + payload)):
                    self._sort(message)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.control.put_nowait({"type": "eof"})

    def _sort(self, message: wire.Message) -> None:
        match message.kind:
            case wire.CONTROL:
                control = json.loads(message.data)
                if control["type"] == "step":
                    self.steps.append(control["step"])
                else:
                    self.control.put_nowait(control)
            case wire.HYPHA:
                self.hypha.put_nowait(message)
            case wire.CALL:
                self.calls.put_nowait(message)
            case wire.RESULT:
                self.results[message.id].set_result(message)
            case wire.CANCEL:
                self.cancelled.append(message.id)

    # --- to the runtime

    def send(self, kind: int, data: bytes | list, head: bytes = b"", flags: int = 0, id: int | None = None) -> int:
        """Send a message in as many frames as it needs."""
        id = next(self._ids) if id is None else id
        outgoing = wire.Outgoing(kind, id, flags, head, data if isinstance(data, list) else [data])
        while not outgoing.finished:
            self.writer.write(b"".join(outgoing.next_frame()))
        return id

    def tell(self, **message: Any) -> None:
        self.send(wire.CONTROL, json.dumps(message).encode())

    def raw(self, data: bytes) -> None:
        self.writer.write(data)

    def start(self, files: dict[str, str], file: str, cls: str, **changes: Any) -> None:
        """Assign one replica; `changes` replace or add fields of the start message."""
        kwargs = changes.pop("kwargs", {})
        message = {
            "type": "start", "replica": "0b1c", "tag": TAG, "application": "hello-app",
            "deployment": cls, "file": file, "class": cls, "entry": True,
            "files": {n: base64.b64encode(t.encode()).decode() for n, t in files.items()},
            "kwargs": base64.b64encode(msgpack.packb(kwargs)).decode(),
            "env": {"HYPHA_ARTIFACT_ID": "ws-test/hello", "HYPHA_SERVER_URL": "http://hypha"},
            "secrets": {}, "work_dir": str(self.home / "work"), "handles": [], "options": {},
            "hypha": {
                "client_id": CLIENT, "workspace": WORKSPACE, "manager_id": "manager-1",
                "public_base_url": "http://hypha",
                "service": {"id": "hello-app", "name": "Hello", "type": "bioengine-apps",
                            "description": "Says hello", "docs": None,
                            "config": {"visibility": "public", "require_context": True}},
            },
        }
        if not changes.get("entry", True):
            message["hypha"] = None
        self.tell(**{**message, **changes})

    # --- from the runtime

    async def next(self, type: str) -> dict[str, Any]:
        """The next control message, which must be of this type."""
        message = await asyncio.wait_for(self.control.get(), TIMEOUT)
        assert message["type"] == type, f"{message}\n{self.output['stderr']}"
        return message

    async def wait(self) -> int:
        """The exit code of the process; negative for a signal."""
        loop = asyncio.get_running_loop()
        _, status = await asyncio.wait_for(loop.run_in_executor(None, os.waitpid, self.pid, 0), TIMEOUT)
        self.pid = 0
        await asyncio.wait(self._tasks, timeout=TIMEOUT)
        return os.waitstatus_to_exitcode(status)

    async def close(self) -> None:
        """End the process if it still runs."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            await self.wait()
        self.writer.close()
        shutil.rmtree(self.home, ignore_errors=True)

    async def line(self, stream: str, text: str) -> str:
        """Wait for an output line that contains the text."""
        async with asyncio.timeout(TIMEOUT):
            while True:
                found = next((l for l in self.output[stream] if text in l), None)
                if found is not None:
                    return found
                await asyncio.sleep(0.01)
