"""Frames against the vectors that the agent's side is tested with too."""

from __future__ import annotations

import hashlib
import json
import unittest

import agent
from bioengine_runtime import wire

VECTORS = json.loads((agent.PACKAGE / "testdata" / "vectors.json").read_text())


def data_of(vector: dict) -> bytes:
    if "data" in vector:
        return bytes.fromhex(vector["data"])
    return (bytes(range(251)) * (vector["pattern"] // 251 + 1))[: vector["pattern"]]


def frames_of(vector: dict, parts: int = 1) -> list[bytes]:
    data = data_of(vector)
    step = max(1, -(-len(data) // parts))
    pieces = [data[i : i + step] for i in range(0, len(data), step)]
    outgoing = wire.Outgoing(vector["kind"], vector["id"], vector["flags"], vector["head"].encode(), pieces)
    frames = []
    while not outgoing.finished:
        frames.append(b"".join(outgoing.next_frame()))
    return frames


class Vectors(unittest.TestCase):
    def test_messages_become_the_agreed_frames(self):
        for vector in VECTORS["messages"]:
            for parts in (1, 3):
                with self.subTest(vector["name"], parts=parts):
                    self.check(frames_of(vector, parts), vector["frames"])

    def check(self, frames: list[bytes], expected: list[dict]) -> None:
        self.assertEqual(len(frames), len(expected))
        for frame, want in zip(frames, expected):
            if "hex" in want:
                self.assertEqual(frame.hex(), want["hex"])
            else:
                self.assertEqual((len(frame), hashlib.sha256(frame).hexdigest()), (want["bytes"], want["sha256"]))

    def test_frames_become_the_message_again_however_they_are_cut(self):
        for vector in VECTORS["messages"]:
            stream = b"".join(frames_of(vector))
            for size in (len(stream), 4096, 7):
                if len(stream) > 100_000 and size == 7:
                    continue
                with self.subTest(vector["name"], size=size):
                    parser, found = wire.Parser(), []
                    for i in range(0, len(stream), size):
                        found += parser.feed(memoryview(stream[i : i + size]))
                    self.assertEqual(len(found), 1)
                    message = found[0]
                    self.assertEqual((message.kind, message.id), (vector["kind"], vector["id"]))
                    self.assertEqual((message.flags, message.head.decode()), (vector["flags"], vector["head"]))
                    self.assertEqual(bytes(message.data), data_of(vector))

    def test_bare_frames(self):
        for vector in VECTORS["bare"]:
            with self.subTest(vector["name"]):
                payload = bytes.fromhex(vector["payload"])
                frame = wire.bare_frame(vector["kind"], vector["id"], payload)
                self.assertEqual(frame.hex(), vector["hex"])
                (message,) = wire.Parser().feed(memoryview(frame))
                self.assertEqual((message.kind, message.id, message.data), (vector["kind"], vector["id"], payload))

    def test_broken_frames_are_refused(self):
        for vector in VECTORS["broken"]:
            with self.subTest(vector["name"]), self.assertRaises(wire.ProtocolError):
                wire.Parser().feed(memoryview(bytes.fromhex(vector["hex"])))

    def test_fragments_of_different_messages_interleave(self):
        vectors = [v for v in VECTORS["messages"] if "pattern" in v and len(v["frames"]) > 1]
        queues = [frames_of(v) for v in vectors]
        parser, found = wire.Parser(), []
        while any(queues):
            for queue in queues:
                if queue:
                    found += parser.feed(memoryview(queue.pop(0)))
        self.assertEqual({m.id: bytes(m.data) for m in found}, {v["id"]: data_of(v) for v in vectors})

    def test_an_aborted_message_is_told_with_its_reason(self):
        head, data = b"w/p\0s", bytes(wire.FRAGMENT_BYTES + 1)
        first = b"".join(wire.Outgoing(wire.HYPHA, 5, wire.OPENS, head, [data]).next_frame())
        abort = b"".join(wire.Outgoing(wire.ABORT, 5, 0, bytes([wire.HYPHA]), [b"ReplicaLost: link"]).next_frame())
        parser = wire.Parser()
        self.assertEqual(parser.feed(memoryview(abort)), [])  # of no message
        want = wire.Message(wire.HYPHA, 5, wire.OPENS, head, b"ReplicaLost: link", aborted=True)
        self.assertEqual(parser.feed(memoryview(first + abort)), [want])
        self.assertEqual(len(parser.feed(memoryview(first))), 0)  # the id is free again
