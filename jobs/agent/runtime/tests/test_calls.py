"""Calls of Hypha clients: values, errors, schemas, context."""

from __future__ import annotations

import base64
import os

import msgpack
import numpy as np

from agent import ADDRESS
from bioengine_runtime import frames, rpc, wire
from case import RuntimeCase

APP = """
    class Base:
        @schema_method
        async def inherited(self) -> str:
            "From the base class."
            return "base"

    @serve.deployment(ray_actor_options={"num_cpus": 1}, max_ongoing_requests=20)
    class App(Base):
        @schema_method
        async def greet(self, name: str = Field("you", description="Whom")) -> str:
            "Say hello."
            return f"Hello {name}!"

        @schema_method(arbitrary_types_allowed=True)
        async def echo(self, value: object = Field(..., description="Anything")) -> object:
            "Give it back."
            return value

        @schema_method
        async def add(self, a: int = Field(..., description="a"), b: int = Field(2, description="b")) -> int:
            "Add."
            return a + b

        @schema_method
        def whoami(self, prefix: str = Field("", description="p"), context=None) -> dict:
            "Who calls."
            return {"user": context["user"]["id"], "from": context["from"], "prefix": prefix,
                    "connection": context["connection_type"]}

        @schema_method
        def shape(self, image: object = Field(..., description="array")) -> list:
            "In a thread."
            import threading
            return [list(image.shape), str(image.dtype), threading.current_thread() is threading.main_thread()]

        @schema_method
        async def fail(self, kind: str = Field("value", description="how")) -> None:
            "Raise."
            if kind == "exit":
                sys.exit(3)
            if kind == "unsupported":
                return object()
            raise ValueError("bad thing")

        @schema_method
        def fail_in_thread(self) -> None:
            "Raise."
            self.deeper()

        def deeper(self):
            raise KeyError("deep")

        @schema_method
        def stop_iteration(self) -> None:
            "Raise what futures refuse."
            raise StopIteration

        def hidden(self):
            return "not a schema method"
"""


class Calls(RuntimeCase):
    async def test_a_ready_replica_says_what_it_offers(self):
        agent, service = await self.serve(APP)
        self.assertEqual(agent.steps, ["import", "init", "async_init", "check_health"])
        names = ["add", "echo", "fail", "fail_in_thread", "greet", "inherited", "shape", "stop_iteration", "whoami"]
        self.assertEqual(self.ready["methods"], names)
        described = msgpack.unpackb(base64.b64decode(self.ready["description"]))
        self.assertEqual({k for k, v in described.items() if isinstance(v, dict) and "_rtype" in v}, set(names))
        self.assertEqual(described["config"], {"visibility": "public", "require_context": True})
        reference = described["greet"]
        self.assertEqual((reference["_rtarget"], reference["_rmethod"]), (ADDRESS, "services.hello-app.greet"))
        self.assertEqual((reference["_rserver"], reference["_rpromise"]), ("http://hypha", "*"))
        self.assertEqual(reference["_rschema"]["parameters"]["properties"]["name"]["description"], "Whom")
        record = msgpack.unpackb(base64.b64decode(self.ready["registration"]))
        self.assertEqual(record["id"], f"{ADDRESS}:hello-app")
        self.assertEqual((record["name"], record["type"], record["description"]), ("Hello", "bioengine-apps", "Says hello"))
        self.assertEqual(set(record["service_schema"]), set(names))
        for schema in (described["whoami"]["_rschema"], record["service_schema"]["whoami"]["function"]):
            self.assertEqual(list(schema["parameters"]["properties"]), ["prefix"])
            self.assertNotIn("context", schema["parameters"].get("required", []))

    async def test_arguments_reach_the_method_as_python_would_bind_them(self):
        _, service = await self.serve(APP)
        self.assertEqual(await service.greet(), "Hello you!")
        self.assertEqual(await service.greet("World"), "Hello World!")
        self.assertEqual(await service.add(1, b=4), 5)
        self.assertEqual(await service.add(a=1), 3)
        self.assertEqual(await service.inherited(), "base")
        modern = tuple(map(int, rpc.version().split("."))) >= (0, 21, 29)
        with self.assertRaisesRegex(Exception, "TypeError: Missing required argument: 'a'" if modern else "TypeError: "):
            await service.add()
        with self.assertRaisesRegex(Exception, "TypeError: "):
            await service.add(1, c=2)
        with self.assertRaisesRegex(Exception, "TypeError: .*context"):
            await service.greet(name="x", context={"user": "me"})

    async def test_values_come_back_as_they_went(self):
        _, service = await self.serve(APP)
        for value in (None, True, -(2**63), 2**64 - 1, 1.5, "grüße", b"\0\xff", [1, [2, {"a": None}]], {"k": {"l": [1]}}):
            self.assertEqual(await service.echo(value), value)
        self.assertEqual(await service.echo({1, 2}), {1, 2})
        for size in (0, 1000, 300_000, 1_000_000):
            array = np.arange(size, dtype="float32").reshape(-1, 1)
            back = await service.echo({"image": array})
            np.testing.assert_array_equal(back["image"], array)
            self.assertEqual(back["image"].dtype, array.dtype)

    async def test_context_goes_only_to_methods_that_declare_it(self):
        _, service = await self.serve(APP)
        want = {"user": "user-1", "from": "ws-other/caller", "prefix": "p", "connection": "websocket"}
        self.assertEqual(await service.whoami("p"), want)
        self.assertEqual(await service.whoami(prefix="p", context={"user": {"id": "root"}}), want)

    async def test_plain_methods_run_in_threads(self):
        _, service = await self.serve(APP)
        self.assertEqual(await service.shape(np.zeros((2, 3), "uint8")), [[2, 3], "uint8", False])

    async def test_errors_end_with_class_and_message(self):
        agent, service = await self.serve(APP)
        for call, last, places in (
            (service.fail, "ValueError: bad thing", ["in fail", 'raise ValueError("bad thing")']),
            (service.fail_in_thread, "KeyError: 'deep'", ["in fail_in_thread", "in deeper"]),
        ):
            with self.assertRaises(Exception) as caught:
                await call()
            text = str(caught.exception)
            self.assertEqual(text.strip().splitlines()[-1], last)
            self.assertRegex(text, r'File "app.py", line \d+, in fail')
            for place in places:
                self.assertIn(place, text)
            for ours in ("bioengine_runtime", "hypha_rpc", "concurrent/futures"):
                self.assertNotIn(ours, text)

    async def test_a_method_cannot_end_the_process(self):
        _, service = await self.serve(APP)
        with self.assertRaisesRegex(Exception, "RuntimeError: the method ended with SystemExit: 3"):
            await service.fail("exit")
        with self.assertRaisesRegex(Exception, "RuntimeError: the method raised StopIteration"):
            await service.stop_iteration()
        self.assertEqual(await service.greet(), "Hello you!")

    async def test_a_value_that_cannot_travel_is_an_error_of_the_call(self):
        _, service = await self.serve(APP)
        with self.assertRaisesRegex(Exception, "Unsupported data type"):
            await service.fail("unsupported")

    async def test_unknown_names_are_refused(self):
        _, service = await self.serve(APP)
        for path in ("hidden", "nothing", "greet.nothing"):
            reference = {"_rtype": "method", "_rtarget": ADDRESS, "_rpromise": "*", "_rmethod": f"services.hello-app.{path}"}
            method = self.caller.rpc._decode(reference, local_workspace="ws-other")
            with self.assertRaisesRegex(Exception, "Method expired or not found: ws-other/caller"):
                await method()

    async def test_unknown_types_pass_byte_for_byte(self):
        agent = await self.begin(APP)
        await agent.next("ready")
        value = {"_rtype": "x-unknown", "blob": os.urandom(5000), "deep": [{"_rtype": "x-other", "b": os.urandom(9)}]}
        main = {"type": "method", "from": "w/raw", "to": ADDRESS, "method": "services.hello-app.echo", "session": "s1"}
        extra = {"args": [value], "promise": "*", "t": 10}
        agent.send(wire.HYPHA, msgpack.packb(main) + msgpack.packb(extra), b"w/raw\0s1", wire.OPENS)
        message = await agent.hypha.get()
        answer, size = frames.routing(message.data)
        self.assertEqual(answer, {"type": "method", "from": ADDRESS, "to": "w/raw", "method": "s1.resolve", "parent": "s1"})
        self.assertEqual(msgpack.unpackb(message.data[size:]), {"args": [value]})
        self.assertEqual((message.head, message.flags & wire.ENDS), (b"w/raw\0s1", wire.ENDS))
