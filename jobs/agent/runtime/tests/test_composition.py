"""Calls between deployments, through two real runtimes."""

from __future__ import annotations

import asyncio
import json
import textwrap

from agent import Agent
from bioengine_runtime import wire
from case import HEADER, RuntimeCase

COMMON = """
class Oops(ValueError):
    def __init__(self, message, code=0):
        super().__init__(message)
        self.code = code
"""

HELPER = """
    import numpy as np
    from common import Oops

    @serve.deployment(max_ongoing_requests=2)
    class Helper:
        def __init__(self, start: int = 100):
            self.start, self.running, self.most, self.log = start, 0, 0, []

        async def add(self, number, *, by=0):
            return self.start + number + by

        def invert(self, image):
            import threading
            assert threading.current_thread() is not threading.main_thread()
            image[0] = 7  # the array is its own
            return -image

        async def slow(self, seconds):
            self.running += 1
            self.most = max(self.most, self.running)
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                self.log.append("cancelled")
                raise
            finally:
                self.running -= 1
            return self.most

        async def seen(self):
            return self.log

        async def fail(self):
            raise Oops("bad value", code=5)

        async def fail_oddly(self):
            class Local(Exception):
                def __reduce__(self):
                    raise TypeError("not to be pickled")
            raise Local("only its text travels")

        async def unpicklable(self):
            import threading
            return threading.Lock()

        async def exits(self):
            sys.exit(4)

        async def large(self):
            return bytearray(300 * 1024 * 1024)

        async def model(self):
            return serve.get_multiplexed_model_id()

        def __call__(self, x):
            return ["called", x]

        def _private(self):
            return "private"

        def check_health(self):
            if self.start < 0:
                raise RuntimeError("too low")
"""

ENTRY = """
    import numpy as np
    from ray.serve.handle import DeploymentHandle
    from ray.exceptions import RayTaskError
    from common import Oops

    @serve.deployment
    class Entry:
        def __init__(self, helper: DeploymentHandle):
            self.helper = helper
            self.early = helper.add.remote(1)

        @schema_method
        async def run(self, name: str = Field(..., description="which part")) -> object:
            "Run one part."
            return await getattr(self, name)()

        async def sums(self):
            h = self.helper
            together = await asyncio.gather(*[h.add.remote(i, by=1) for i in range(20)])
            return [await self.early, await h.add.remote(42), together, await h.remote(3),
                    await h.add.remote(h.add.remote(1)), await h.options(method_name="add").remote(2)]

        async def arrays(self):
            image = np.arange(3_000_000, dtype="float32").reshape(3, -1)
            response = self.helper.invert.remote(image)
            image[:] = 0  # too late to matter
            back = await response
            back[0, 0] = 1
            small = await self.helper.invert.remote(np.ones(3))
            return [back.shape, float(back[1, 5]), float(back[0, 3]), small.tolist()]

        async def errors(self):
            try:
                await self.helper.fail.remote()
            except Oops as err:
                return [isinstance(err, RayTaskError), type(err).__name__, err.code,
                        isinstance(err.cause, Oops), str(err).splitlines()[-1]]

        async def text_only(self):
            try:
                await self.helper.fail_oddly.remote()
            except RayTaskError as err:
                return [type(err).__name__, str(err).splitlines()[-1]]

        async def uncaught(self):
            await self.helper.fail.remote()

        async def messages(self):
            found = []
            for call in (self.helper.nothing, self.helper.unpicklable, self.helper.exits, self.helper.large):
                try:
                    await call.remote()
                except Exception as err:
                    found.append(str(err).splitlines()[-1])
            try:
                self.helper._private
            except AttributeError as err:
                found.append("AttributeError")
            return found

        async def admission(self):
            most = await asyncio.gather(*[self.helper.slow.remote(0.1) for _ in range(6)])
            return max(most)

        async def impatient(self):
            try:
                await asyncio.wait_for(self.helper.slow.remote(30), 0.5)
            except asyncio.TimeoutError:
                pass
            response = self.helper.slow.remote(30)
            asyncio.get_running_loop().call_later(0.2, response.cancel)
            try:
                await response
            except asyncio.CancelledError:
                pass
            while len(await self.helper.seen.remote()) < 2:
                await asyncio.sleep(0.01)
            return await self.helper.seen.remote()

        async def health(self):
            return await self.helper.check_health.remote()

        async def model(self):
            return await self.helper.options(multiplexed_model_id="m1").model.remote()

        async def refused(self):
            try:
                await self.helper.add.remote(1)
            except Exception as err:
                return [type(err).__module__, type(err).__name__, str(err)]

        async def misuse(self):
            found = []
            for wrong in (lambda: self.helper.add.remote(1).result(), lambda: self.helper.options(stream=True),
                          lambda: self.helper.options(unknown=1)):
                try:
                    wrong()
                except Exception as err:
                    found.append(type(err).__name__)
            return found

        @schema_method
        def from_thread(self) -> list:
            "Handles work in plain methods too."
            responses = [self.helper.add.remote(i) for i in range(3)]
            values = [r.result(timeout_s=10) for r in responses]
            try:
                self.helper.slow.remote(30).result(timeout_s=0.1)
            except TimeoutError:
                values.append("timeout")
            try:
                self.helper.fail.remote().result()
            except ValueError as err:
                values.append(err.code)
            return values
"""


class Splice:
    """The controller's part: carries calls of one runtime to another."""

    def __init__(self, source: Agent, target: Agent):
        self.source, self.target, self.heads = source, target, []

    async def run(self) -> None:
        while True:
            message = await self.source.calls.get()
            self.heads.append(json.loads(message.head))
            asyncio.create_task(self.one(message))

    async def one(self, message: wire.Message) -> None:
        target = self.target
        future = asyncio.get_running_loop().create_future()
        id = next(target._ids)
        target.results[id] = future
        target.send(wire.CALL, message.data, message.head, id=id)
        while not future.done():
            if message.id in self.source.cancelled:
                return target.raw(wire.bare_frame(wire.CANCEL, id))
            await asyncio.wait([future], timeout=0.01)
        result = future.result()
        self.source.send(wire.RESULT, result.data, result.head, id=message.id)


class Composition(RuntimeCase):
    async def compose(self, **helper):
        files = {"entry.py": ENTRY, "helper.py": HELPER}
        files = {n: HEADER + textwrap.dedent(t) for n, t in files.items()} | {"common.py": COMMON}
        inner, outer = await self.launch(), await self.launch()
        inner.start(files, "helper", "Helper", entry=False, options={"max_ongoing": 2}, **helper)
        outer.start(files, "entry", "Entry", handles=[{"parameter": "helper", "deployment": "Helper"}])
        self.assertEqual((await inner.next("ready"))["methods"], [])
        ready = await outer.next("ready")
        self.splice = Splice(outer, inner)
        task = asyncio.create_task(self.splice.run())
        self.addAsyncCleanup(self._end, task)
        self.inner, self.outer = inner, outer
        return self.client(outer).service(ready)

    async def test_calls_return_values(self):
        service = await self.compose()
        self.assertEqual(await service.run("sums"),
                         [101, 142, [101 + i for i in range(20)], ["called", 3], 201, 102])
        self.assertEqual(self.splice.heads[0], {"deployment": "Helper", "method": "add"})
        self.assertEqual(await service.from_thread(), [100, 101, 102, "timeout", 5])
        self.assertEqual(await service.run("model"), "m1")

    async def test_arrays_are_snapshots_that_belong_to_the_receiver(self):
        service = await self.compose()
        shape, one, seven, small = await service.run("arrays")
        self.assertEqual((shape, one, seven, small), ([3, 1_000_000], -1000005.0, -7.0, [-7.0, -1.0, -1.0]))

    async def test_errors_are_both_ray_errors_and_the_original_class(self):
        service = await self.compose()
        self.assertEqual(await service.run("errors"), [True, "RayTaskError(Oops)", 5, True, "common.Oops: bad value"])
        name, last = await service.run("text_only")
        self.assertEqual(name, "RayTaskError")
        self.assertTrue(last.endswith("Local: only its text travels"), last)
        with self.assertRaises(Exception) as caught:
            await service.run("uncaught")
        text = str(caught.exception)
        self.assertEqual(text.strip().splitlines()[-1], "common.Oops: bad value")
        self.assertIn("in fail", text)
        self.assertIn("in uncaught", text)

    async def test_what_cannot_be_done_is_said(self):
        service = await self.compose()
        lines = await service.run("messages")
        self.assertEqual(lines[0], "AttributeError: 'Helper' has no method 'nothing'")
        self.assertRegex(lines[1], "TypeError: cannot pickle")
        self.assertEqual(lines[2], "RuntimeError: the method ended with SystemExit: 4")
        self.assertRegex(lines[3], "ValueError: a result of 3145.* bytes exceeds the limit")
        self.assertEqual(lines[4], "AttributeError")
        self.assertEqual(await service.run("misuse"), ["RuntimeError", "ValueError", "TypeError"])

    async def test_a_replica_runs_no_more_calls_than_it_may(self):
        service = await self.compose()
        self.assertEqual(await service.run("admission"), 2)

    async def test_giving_up_cancels_the_call_at_the_other_end(self):
        service = await self.compose()
        self.assertEqual(await service.run("impatient"), ["cancelled", "cancelled"])

    async def test_the_health_check_of_a_sub_deployment_can_be_called(self):
        service = await self.compose()
        self.assertIsNone(await service.run("health"))

    async def test_a_refusal_on_the_way_is_an_error_of_its_class(self):
        files = {n: HEADER + textwrap.dedent(t) for n, t in {"entry.py": ENTRY}.items()} | {"common.py": COMMON}
        outer = await self.launch()
        outer.start(files, "entry", "Entry", handles=[{"parameter": "helper", "deployment": "Helper"}])
        service = self.client(outer).service(await outer.next("ready"))
        first = await outer.calls.get()
        outer.send(wire.RESULT, b"ReplicaLost: gone", b'{"ok": false}', id=first.id)
        for text, module, name in (
            (b"ReplicaLost: replica r1 has gone", "ray.exceptions", "ActorDiedError"),
            (b"BackPressureError: the queue is full", "ray.serve.exceptions", "BackPressureError"),
            (b"LookupError: no such deployment", "ray.exceptions", "RayError"),
        ):
            answer = asyncio.ensure_future(service.run("refused"))
            call = await outer.calls.get()
            outer.send(wire.RESULT, text, b'{"ok": false}', id=call.id)
            self.assertEqual(await answer, [module, name, text.decode()])

    async def test_calls_before_ready_are_refused(self):
        agent = await self.launch()
        agent.results[5] = asyncio.get_running_loop().create_future()
        agent.send(wire.CALL, b"", b'{"method": "add"}', id=5)
        result = await agent.results[5]
        self.assertEqual((result.head, bytes(result.data)),
                         (b'{"ok": false}', b"RayServeException: the deployment is not ready"))

    async def test_a_request_that_cannot_be_read_gets_an_answer(self):
        await self.compose()
        for id, (head, data) in enumerate(((b"{}", b""), (b"nonsense", b""), (b'{"method": "add"}', b"junk"),
                                           (b'{"method": "add"}', b"BEP1\0\0\0\1")), 9000):
            future = self.inner.results[id] = asyncio.get_running_loop().create_future()
            self.inner.send(wire.CALL, data, head, id=id)
            self.assertEqual(json.loads((await future).head), {"ok": False})

    async def test_a_handle_parameter_must_exist_and_be_one(self):
        for init, error in (
            ("self", "ValueError: Parameter 'helper' not found in entry deployment 'App' init method. Available parameters: []"),
            ("self, helper: int", "ValueError: Parameter 'helper' of entry deployment 'App' must be of type "
                                  "DeploymentHandle, but got int"),
        ):
            message = await self.failed(f"""
                @serve.deployment
                class App:
                    def __init__({init}): pass
                    @schema_method
                    async def ping(self) -> str:
                        "Answer."
            """, handles=[{"parameter": "helper", "deployment": "Helper"}])
            self.assertEqual((message["step"], message["error"]), ("init", error))
