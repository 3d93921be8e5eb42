"""The bytes of handle calls."""

from __future__ import annotations

import unittest

import numpy as np

import agent  # noqa: F401  (makes the package importable)
from bioengine_runtime import pickling


class Pickling(unittest.TestCase):
    def round(self, value):
        return pickling.loads(b"".join(pickling.dumps(value)))

    def test_values_come_back(self):
        local = 5
        self.assertEqual(self.round({"a": [1, b"x" * 10_000, None], (1, 2): {3}}), {"a": [1, b"x" * 10_000, None], (1, 2): {3}})
        self.assertEqual(self.round(lambda x: x + local)(2), 7)

    def test_arrays_share_the_received_memory(self):
        arrays = [np.arange(n, dtype="float64") for n in (10, 5_000, 100_001)] + [np.ones((300, 400), order="F"), np.ones((90, 90))[::2]]
        data = bytearray(b"".join(pickling.dumps(arrays)))
        backs = pickling.loads(data)
        for array, back in zip(arrays, backs):
            np.testing.assert_array_equal(array, back)
            self.assertTrue(back.flags.writeable)
        large = backs[2]
        before = bytes(data)
        large[:] = -1
        self.assertNotEqual(before, bytes(data))
        self.assertEqual(large.ctypes.data % 16, np.frombuffer(data, "uint8").ctypes.data % 16)

    def test_texts_are_told_from_values(self):
        for data in (b"", b"ReplicaLost: gone", b"BEP"):
            with self.assertRaises(pickling.NotAPickle):
                pickling.loads(data)
