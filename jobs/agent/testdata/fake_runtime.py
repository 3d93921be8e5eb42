"""A runtime with faults to order: speaks the agent's socket and does what each message's first word says.

It stands in for bioengine_runtime where a test needs Python to misbehave; the frames are the real ones.
"""

import json
import os
import signal
import socket
import sys
import threading
import time

sys.path.insert(0, os.getcwd())  # where the agent has unpacked the real runtime
from bioengine_runtime import wire  # noqa: E402

sock = socket.socket(fileno=3)
parser = wire.Parser()
acks = threading.Semaphore(4)
lock = threading.Lock()
held = []  # call keys without an answer
mode = {}
next_id = iter(range(1, 2**31))


def send(kind, data=b"", head=b"", flags=0, id=None):
    """Send a message, waiting for acknowledgements as the real runtime does."""
    outgoing = wire.Outgoing(kind, id if id is not None else next(next_id), flags, head, [data])
    while not outgoing.finished:
        if outgoing.fragmented:
            acks.acquire()
        buffers = outgoing.next_frame()
        with lock:
            for buffer in buffers:
                sock.sendall(buffer)


def control(**message):
    send(wire.CONTROL, json.dumps(message).encode())


def settle(key, data):
    send(wire.HYPHA, data, key, wire.ENDS)


def on_control(message):
    match message["type"]:
        case "start":
            start(message)
        case "health":
            if mode.get("health") != "silent":
                ok = mode.get("health") != "sick"
                control(type="health", id=message["id"], ok=ok, error="" if ok else "ValueError: sick")
        case "cancel" | "peer_gone":
            send(wire.HYPHA, json.dumps(message).encode())
            if message.get("call", "").encode() in held:
                held.remove(message["call"].encode())
        case "drain":
            threading.Thread(target=drain, args=(message["timeout_s"],)).start()
        case "stop" if not mode.get("deaf"):
            os._exit(0)


def drain(timeout):
    end = time.monotonic() + timeout
    while held and time.monotonic() < end:
        time.sleep(0.01)
    control(type="drained")


def start(message):
    mode.update(message["options"].get("user_config") or {})
    mode["start"] = message
    if mode.get("deaf"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("out of", message["tag"], flush=True)
    print("err of", message["tag"], file=sys.stderr, flush=True)
    control(type="step", step="import")
    control(type="step", step="init")
    if mode.get("die"):
        print("about to die", file=sys.stderr, flush=True)
        sys.stderr.flush()
        os._exit(7)
    if mode.get("fail"):
        control(type="failed", step="init", error="ModuleNotFoundError: No module named 'torch'", traceback="Traceback …")
        os._exit(1)
    control(type="ready", description="gAE=", registration="gAI=", methods=["echo"], python="3.11", hypha_rpc="0")


def command(key, data):
    word, _, rest = bytes(data).partition(b" ")
    match word:
        case b"echo":
            settle(key, rest)
        case b"large":
            settle(key, os.urandom(1) * int(rest))
        case b"hold":
            held.append(key)
        case b"settle":  # the oldest call that is held
            settle(held.pop(0), rest)
        case b"later":
            time.sleep(float(rest))
            settle(key, b"late")
        case b"pid":
            settle(key, str(os.getpid()).encode())
        case b"environ":
            with open("/proc/self/environ", "rb") as f:
                settle(key, f.read())
        case b"list":
            settle(key, b"\n".join(os.listdir(rest)))
        case b"start":
            settle(key, json.dumps(mode["start"]).encode())
        case b"print":
            for i in range(int(rest)):
                print("line", i)
            sys.stdout.flush()
            settle(key, b"printed")
        case b"burst":  # many small messages, then the answer
            count, size = map(int, rest.split())
            for i in range(count):
                send(wire.HYPHA, i.to_bytes(4, "big") + bytes(size - 4))
            settle(key, b"sent")
        case b"call":
            mode["caller"] = key
            send(wire.CALL, rest, json.dumps({"deployment": "Other", "method": "work"}).encode(), id=77)
        case b"uncall":
            with lock:
                sock.sendall(wire.bare_frame(wire.CANCEL, 77))
            settle(key, b"cancelled")
        case b"garbage":
            with lock:
                sock.sendall(b"\xff" * 64)
        case b"exit":
            print("last words", flush=True)
            os._exit(int(rest))
        case b"doom":
            settle(key, b"doomed")
            time.sleep(0.5)
            os._exit(int(rest))
        case b"signal":
            os.kill(os.getpid(), int(rest))
        case b"freeze":
            time.sleep(3600)
        case b"sleep":  # like freeze, but not for ever
            time.sleep(float(rest))


def on_call(message):
    if bytes(message.data).startswith(b"hold"):
        return
    send(wire.RESULT, b"result of " + bytes(message.data), b'{"ok":true}', id=message.id)


def main():
    while received := sock.recv(1 << 19):
        for message in parser.feed(memoryview(received)):
            match message.kind:
                case wire.CONTROL:
                    on_control(json.loads(message.data))
                case wire.HYPHA if bytes(message.data[:6]) in (b"freeze", b"sleep "):
                    command(message.head, message.data)
                case wire.HYPHA:
                    threading.Thread(target=command, args=(message.head, message.data)).start()
                case wire.CALL:
                    threading.Thread(target=on_call, args=(message,)).start()
                case wire.RESULT:
                    answer = (b"aborted" if message.aborted else message.head) + b" " + bytes(message.data)
                    threading.Thread(target=settle, args=(mode["caller"], answer)).start()
                case wire.CANCEL:
                    send(wire.HYPHA, b"call cancelled")
                case wire.ACK:
                    acks.release()
    os._exit(1)


main()
