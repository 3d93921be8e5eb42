"""The start-up check on the version of hypha-rpc in the image."""

from __future__ import annotations

import unittest
from unittest import mock

import agent  # noqa: F401  (makes the package importable)
import hypha_rpc.rpc as module
from bioengine_runtime import rpc


class Check(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        original = module.shortuuid
        self.addCleanup(setattr, module, "shortuuid", original)

    async def test_a_known_version_passes(self):
        rpc.tag_ids("r1x2")
        await rpc.check("r1x2")
        self.assertTrue(module.shortuuid.uuid().startswith("r1x2-"))
        self.assertTrue(module.shortuuid.get_alphabet())

    async def test_ids_without_the_tag_are_refused(self):
        with self.assertRaisesRegex(RuntimeError, "hypha-rpc .* cannot be used in this image: an id does not carry"):
            await rpc.check("r1x2")

    async def test_another_way_to_make_ids_is_refused(self):
        with mock.patch.object(module, "shortuuid", None):
            with self.assertRaisesRegex(RuntimeError, "it makes its ids in another way; use a version between"):
                rpc.tag_ids("r1x2")

    async def test_another_way_to_take_messages_is_refused(self):
        rpc.tag_ids("r1x2")
        with mock.patch.object(module.RPC, "_on_message", lambda self, message: None), \
                mock.patch.object(rpc, "_PATIENCE_S", 0.1):
            with self.assertRaisesRegex(RuntimeError, "does not take messages as this runtime gives them"):
                await rpc.check("r1x2")
