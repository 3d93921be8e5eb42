"""What the application finds around it: variables, folders, modules, logs."""

from __future__ import annotations

import os
from pathlib import Path

from case import RuntimeCase

APP = """
    logger = logging.getLogger("ray.serve")

    @serve.deployment
    class App:
        @schema_method
        async def variables(self) -> dict:
            "The environment."
            return dict(os.environ)

        @schema_method
        async def log(self) -> None:
            "One line each."
            logger.debug("a debug line")
            logger.info("an info line\\nof two lines")
            logging.getLogger("ray.serve.child").info("a child's line")
            print("no newline yet", end="")
            print(" but now \\udc80")
            print("on stderr", file=sys.stderr)
"""


class Environment(RuntimeCase):
    async def test_secrets_are_in_the_process_but_not_in_its_exec_environment(self):
        agent, service = await self.serve(
            APP, env={"API_URL": "http://x", "TOKEN": "plain"}, secrets={"TOKEN": "hidden-value", "HYPHA_TOKEN": "jwt-value"})
        seen = await service.variables()
        self.assertEqual((seen["API_URL"], seen["TOKEN"], seen["HYPHA_TOKEN"]), ("http://x", "hidden-value", "jwt-value"))
        for file in ("environ", "cmdline"):
            visible = Path(f"/proc/{agent.pid}/{file}").read_bytes()
            self.assertNotIn(b"hidden-value", visible)
            self.assertNotIn(b"jwt-value", visible)

    async def test_home_and_temporary_folder_exist_and_are_entered(self):
        body = """
            import tempfile
            from pathlib import Path
            @serve.deployment
            class App:
                def __init__(self):
                    self.seen = [os.getcwd(), str(Path.home()), tempfile.gettempdir()]
                @schema_method
                async def where(self) -> list:
                    "Folders."
                    return self.seen
        """
        agent, service = await self.serve(body, env={"HOME": "/nowhere"})
        work = os.path.realpath(agent.home / "work")
        self.assertEqual(await service.where(), [work, work, work + "/tmp"])

    async def test_without_granted_devices_no_gpu_is_visible(self):
        _, service = await self.serve(APP)
        self.assertEqual((await service.variables())["CUDA_VISIBLE_DEVICES"], "")
        _, service = await self.serve(APP, environ={"CUDA_VISIBLE_DEVICES": "1,3"})
        self.assertEqual((await service.variables())["CUDA_VISIBLE_DEVICES"], "1,3")

    async def test_log_lines_leave_at_once_and_on_the_right_stream(self):
        agent, service = await self.serve(APP)
        await service.log()
        await agent.line("stderr", "on stderr")
        text = "\n".join(agent.output["stderr"])
        self.assertRegex(text, r"INFO \d{4}-.* ray.serve app.py:\d+ - an info line\nof two lines\n")
        self.assertEqual(text.count("a child's line"), 1)
        self.assertNotIn("debug line", text)
        await agent.line("stdout", "no newline yet but now \\udc80")

    async def test_the_log_level_is_honoured(self):
        agent, service = await self.serve(APP, options={"log_level": "debug"})
        await service.log()
        await agent.line("stderr", "a debug line")

    async def test_errors_nobody_awaits_are_reported(self):
        agent, service = await self.serve("""
            @serve.deployment
            class App:
                @schema_method
                async def leave(self) -> None:
                    "A task that fails."
                    async def fail():
                        raise ValueError("lost in the background")
                    asyncio.create_task(fail())
        """)
        await service.leave()
        self.assertTrue(await self.anywhere(agent, "lost in the background"))

    async def anywhere(self, agent, text: str) -> bool:
        import asyncio
        tasks = [asyncio.ensure_future(agent.line(s, text)) for s in ("stdout", "stderr")]
        done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        return all(t.exception() is None for t in done)


class Modules(RuntimeCase):
    async def test_siblings_are_importable_and_main_blocks_never_run(self):
        body = """
            import helper
            from lib.deep import VALUE
            @serve.deployment
            class App:
                @schema_method
                async def seen(self) -> list:
                    "Names."
                    return [__name__, os.path.basename(__file__), helper.double(4), VALUE, App.name]
            if __name__ == "__main__":
                raise SystemExit("main block")
        """
        files = {"helper.py": "def double(x): return 2 * x", "lib/__init__.py": "", "lib/deep.py": "VALUE = 'deep'",
                 "data.bin": "x"}
        _, service = await self.serve(body, files=files)
        self.assertEqual(await service.seen(), ["app", "app.py", 8, "deep", "App"])

    async def test_a_file_may_lie_in_a_folder_and_be_named_with_its_ending(self):
        body = """
            @serve.deployment
            class App:
                @schema_method
                async def seen(self) -> str:
                    "Names."
                    return __name__
        """
        for name in ("sub/app", "sub/app.py"):
            agent = await self.launch()
            from case import HEADER
            import textwrap
            agent.start({"sub/app.py": HEADER + textwrap.dedent(body)}, name, "App")
            service = self.client(agent).service(await agent.next("ready"))
            self.assertEqual(await service.seen(), "sub.app")

    async def test_a_file_named_like_a_standard_module_replaces_nothing(self):
        body = """
            import json
            @serve.deployment
            class App:
                @schema_method
                async def seen(self) -> str:
                    "Uses the real json through httpx' sake."
                    import importlib
                    return sys.modules["json"].dumps({"a": 1})
        """
        agent = await self.launch()
        from case import HEADER
        import textwrap
        agent.start({"json.py": HEADER + textwrap.dedent(body)}, "json", "App")
        service = self.client(agent).service(await agent.next("ready"))
        self.assertEqual(await service.seen(), '{"a": 1}')

    async def test_variables_are_globals_of_the_file(self):
        body = """
            SEEN = [MODE, KEY]
            @serve.deployment
            class App:
                @schema_method
                async def seen(self) -> list:
                    "Globals."
                    return SEEN
        """
        _, service = await self.serve(body, env={"MODE": "fast", "not an identifier": "x"}, secrets={"KEY": "k"})
        self.assertEqual(await service.seen(), ["fast", "k"])

    async def test_a_factory_may_make_the_deployment(self):
        body = """
            def make(name):
                class Inner:
                    @schema_method
                    async def seen(self) -> str:
                        "Name."
                        return name
                return serve.deployment(ray_actor_options={"num_cpus": 2})(Inner).options(name="renamed")
            App = make("made")
        """
        _, service = await self.serve(body)
        self.assertEqual(await service.seen(), "made")
