"""From files to ready, every way to fail on the way, and the end."""

from __future__ import annotations

import asyncio
import os
import signal
import textwrap

from case import HEADER, RuntimeCase

MINIMAL = """
    @serve.deployment
    class App:
        @schema_method
        async def ping(self) -> str:
            "Answer."
            return "pong"
"""


class Steps(RuntimeCase):
    async def test_steps_run_in_order_and_are_reported_before(self):
        body = """
            print("import")
            @serve.deployment(user_config={"a": 1})
            class App:
                def __init__(self, greeting: str, times: int = 2):
                    print("init", greeting, times)
                def reconfigure(self, config):
                    print("reconfigure", config)
                async def async_init(self):
                    await asyncio.sleep(0.01)
                    print("async_init")
                def check_health(self):
                    print("check_health")
                async def test_deployment(self, n=3):
                    print("test", n)
                @schema_method
                async def ping(self) -> str:
                    "Answer."
                    return "pong"
        """
        agent = await self.begin(body, kwargs={"greeting": "hi"}, options={"user_config": {"a": 1}})
        await agent.next("ready")
        await agent.line("stdout", "test 3")
        self.assertEqual(agent.steps, ["import", "init", "async_init", "check_health"])
        self.assertEqual(agent.output["stdout"], [
            "import", "init hi 2", "reconfigure {'a': 1}", "async_init", "check_health", "test 3"])

    async def test_a_plain_async_init_runs_in_a_thread(self):
        body = """
            import threading
            @serve.deployment
            class App:
                def async_init(self):
                    print(threading.current_thread() is threading.main_thread())
                @schema_method
                async def ping(self) -> str:
                    "Answer."
                    return "pong"
        """
        agent, _ = await self.serve(body)
        self.assertEqual(agent.output["stdout"], ["False"])

    async def test_the_constructor_runs_on_the_loop_of_the_methods(self):
        body = """
            @serve.deployment
            class App:
                def __init__(self):
                    self.lock = asyncio.Lock()
                    self.task = asyncio.get_running_loop().create_task(asyncio.sleep(0, "done"))
                @schema_method
                async def ping(self) -> str:
                    "Answer."
                    async with self.lock:
                        return await self.task
        """
        _, service = await self.serve(body)
        self.assertEqual(await service.ping(), "done")

    async def test_the_replica_context_names_the_replica(self):
        body = """
            @serve.deployment
            class App:
                def __init__(self):
                    context = serve.get_replica_context()
                    self.seen = [context.app_name, context.deployment, context.replica_tag]
                @schema_method
                async def ping(self) -> list:
                    "Answer."
                    return self.seen + [serve.get_replica_context().servable_object is self]
        """
        _, service = await self.serve(body)
        self.assertEqual(await service.ping(), ["hello-app", "App", "r7x3", True])


class Failures(RuntimeCase):
    async def check(self, body: str, step: str, error: str, *in_traceback: str, **changes) -> None:
        message = await self.failed(body, **changes)
        self.assertEqual((message["step"], message["error"]), (step, error), message["traceback"])
        self.assertEqual(message["traceback"].splitlines()[-1], error.splitlines()[-1])
        for text in in_traceback:
            self.assertIn(text, message["traceback"])
        for ours in ("bioengine_runtime", "importlib"):
            self.assertNotIn(ours, message["traceback"])

    async def test_a_missing_module(self):
        await self.check("import nowhere_to_be_found", "import",
                         "ModuleNotFoundError: No module named 'nowhere_to_be_found'", 'File "app.py", line 5', "import nowhere")

    async def test_a_syntax_error(self):
        message = await self.failed("def broken(:")
        self.assertEqual(message["step"], "import")
        self.assertRegex(message["error"], "SyntaxError: invalid syntax")
        self.assertIn('File "app.py", line 5\n    def broken(:', message["traceback"])

    async def test_a_missing_class(self):
        await self.check("class Other: pass", "import", "ValueError: App not found in ws-test/hello")

    async def test_a_class_that_is_no_deployment(self):
        await self.check("class App: pass", "import",
                         "ValueError: App in ws-test/hello is not a Ray Serve deployment: "
                         "decorate the class with @serve.deployment")

    async def test_an_entry_without_schema_methods(self):
        await self.check("""
            @serve.deployment
            class App:
                def plain(self): pass
        """, "import", "ValueError: No schema methods found in the entry deployment class: App.")

    async def test_a_method_named_like_a_property(self):
        await self.check("""
            @serve.deployment
            class App:
                @schema_method
                async def config(self) -> str:
                    "Collides."
                    return ""
        """, "import", "ValueError: Schema method 'config' of App needs another name: it is the name of a service property.")

    async def test_a_missing_file(self):
        agent = await self.launch()
        agent.start({"app.py": ""}, "other", "App")
        self.assertEqual((await agent.next("failed"))["error"],
                         "FileNotFoundError: Deployment file not found in application: 'other.py'")

    async def test_a_file_that_would_leave_its_folder(self):
        for name in ("../evil.py", "/tmp/evil.py", "a/../../evil.py"):
            await self.check(MINIMAL, "import", f"ValueError: Invalid file name in application: '{name}'", files={name: ""})

    async def test_a_raising_constructor(self):
        await self.check("""
            @serve.deployment
            class App:
                def __init__(self):
                    self.load()
                def load(self):
                    raise OSError("no weights")
                @schema_method
                async def ping(self) -> str:
                    "Answer."
        """, "init", "OSError: no weights", "in __init__", "in load", "self.load()")

    async def test_a_constructor_that_exits(self):
        await self.check(MINIMAL.replace("@schema_method", """def __init__(self):
            sys.exit("enough")
        @schema_method"""), "init", "SystemExit: enough")

    async def test_wrong_arguments(self):
        await self.check(MINIMAL, "init", "ValueError: Unexpected parameter 'x' provided. Expected one of [].", kwargs={"x": 1})

    async def test_a_raising_reconfigure_or_none_at_all(self):
        await self.check(MINIMAL, "init", "ValueError: user_config is given, but App has no method 'reconfigure'",
                         options={"user_config": {}})

    async def test_a_raising_async_init(self):
        await self.check(MINIMAL + """
        async def async_init(self):
            raise ConnectionError("no network")
        """, "async_init", "ConnectionError: no network", "in async_init")

    async def test_an_unhealthy_first_check(self):
        await self.check(MINIMAL + """
        def check_health(self):
            raise RuntimeError("not yet")
        """, "check_health", "RuntimeError: not yet", "in check_health")

    async def test_secrets_that_are_not_text(self):
        await self.check(MINIMAL, "import", "ValueError: Environment variable 'N' must be a string, got int", secrets={"N": 5})

    async def test_a_crash_closes_the_socket(self):
        agent = await self.begin("os._exit(7)")
        await agent.next("eof")
        self.assertEqual(await agent.wait(), 7)


class Ends(RuntimeCase):
    STOPPABLE = MINIMAL + """
        async def __del__(self):
            print("goodbye")
    """

    async def test_stop_runs_the_destructor_and_exits_with_0(self):
        agent, _ = await self.serve(self.STOPPABLE)
        agent.tell(type="stop")
        self.assertEqual(await agent.wait(), 0)
        self.assertEqual(agent.output["stdout"], ["goodbye"])

    async def test_a_signal_stops_in_the_same_way(self):
        agent, _ = await self.serve(self.STOPPABLE)
        os.kill(agent.pid, signal.SIGTERM)
        self.assertEqual(await agent.wait(), 0)
        self.assertEqual(agent.output["stdout"], ["goodbye"])

    async def test_stop_while_starting(self):
        agent = await self.begin(MINIMAL + """
        async def async_init(self):
            print("waiting")
            await asyncio.sleep(60)
        """)
        await agent.line("stdout", "waiting")
        agent.tell(type="stop")
        self.assertEqual(await agent.wait(), 0)

    async def test_stop_before_start(self):
        agent = await self.launch()
        agent.tell(type="stop")
        self.assertEqual(await agent.wait(), 0)

    async def test_the_end_of_the_agent_ends_the_process(self):
        agent, _ = await self.serve(MINIMAL)
        agent.writer.close()
        self.assertEqual(await agent.wait(), 1)
        await agent.line("stderr", "the agent closed the socket")

    async def test_stop_does_not_wait_for_busy_threads(self):
        agent, service = await self.serve(MINIMAL + """
        @schema_method
        def busy(self) -> None:
            "Never ends."
            print("busy")
            time.sleep(3600)
        """)
        call = asyncio.ensure_future(service.busy())
        await agent.line("stdout", "busy")
        agent.tell(type="stop")
        self.assertEqual(await agent.wait(), 0)
        with self.assertRaisesRegex(Exception, "CancelledError"):
            await call

    async def test_drain_waits_for_open_calls_but_not_for_ever(self):
        agent, service = await self.serve(MINIMAL + """
        @schema_method
        async def sleep(self, seconds: float = Field(..., description="s")) -> str:
            "Sleep."
            print("sleeping", seconds)
            await asyncio.sleep(seconds)
            return "slept"
        """)
        agent.tell(type="drain", timeout_s=20)
        await agent.next("drained")
        call = asyncio.ensure_future(service.sleep(0.5))
        await agent.line("stdout", "sleeping 0.5")
        agent.tell(type="drain", timeout_s=20)
        await agent.next("drained")
        self.assertEqual(await call, "slept")
        call = asyncio.ensure_future(service.sleep(60))
        await agent.line("stdout", "sleeping 60")
        agent.tell(type="drain", timeout_s=0.2)
        await agent.next("drained")
        self.assertFalse(call.done())
        await agent.line("stderr", "calls are still open after 0.2 s")
        agent.tell(type="stop")
        with self.assertRaisesRegex(Exception, "CancelledError"):
            await call

    async def test_nothing_is_left_in_the_source_folder(self):
        agent = await self.launch()
        body = HEADER + textwrap.dedent(MINIMAL) + "\nprint('file', __file__)\n"
        agent.start({"app.py": body}, "app", "App")
        await agent.next("ready")
        path = (await agent.line("stdout", "file ")).split()[1]
        self.assertTrue(os.path.exists(path))
        agent.tell(type="stop")
        await agent.wait()
        self.assertFalse(os.path.exists(os.path.dirname(path)))
