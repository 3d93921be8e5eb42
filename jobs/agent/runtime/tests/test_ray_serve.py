"""Our ``ray.serve``: what applications import from it."""

from __future__ import annotations

import asyncio
import gc
import unittest

import agent  # noqa: F401  (makes the package importable)
from bioengine_runtime import pickling
from bioengine_runtime.ray_serve import context, deployment, exceptions, multiplex
from case import RuntimeCase


class Deployments(unittest.TestCase):
    def test_the_decorator_works_bare_and_with_options(self):
        @deployment.deployment
        class Bare:
            "Its documentation."

        @deployment.deployment(name="other", num_replicas=3, ray_actor_options={"num_gpus": 1}, unknown=5)
        class Full: ...

        self.assertEqual((Bare.name, Bare.num_replicas, Bare.ray_actor_options, Bare.__doc__),
                         ("Bare", 1, {}, "Its documentation."))
        self.assertEqual((Full.name, Full.num_replicas, Full.ray_actor_options), ("other", 3, {"num_gpus": 1}))
        self.assertIsInstance(Bare.func_or_class(), Bare.func_or_class)
        changed = Full.options(num_replicas=4)
        self.assertEqual((changed.num_replicas, changed.name, Full.num_replicas), (4, "other", 3))
        self.assertIsInstance(Full.bind(1, x=2), deployment.Application)
        with self.assertRaisesRegex(RuntimeError, "cannot be constructed directly"):
            Bare()
        with self.assertRaises(AttributeError):
            Bare.nothing

    def test_outside_a_replica_there_is_no_context(self):
        with self.assertRaises(exceptions.RayServeException):
            context.get_replica_context()


class Errors(unittest.TestCase):
    def test_task_errors_are_of_both_classes_where_python_allows_it(self):
        err = exceptions.RayTaskError.make("m", "trace\nKeyError: 'x'", KeyError("x"))
        self.assertIsInstance(err, KeyError)
        self.assertIsInstance(err, exceptions.RayTaskError)
        self.assertEqual((str(err), type(err).__name__), ("trace\nKeyError: 'x'", "RayTaskError(KeyError)"))
        again = pickling.loads(bytearray(b"".join(pickling.dumps(err))))
        self.assertIsInstance(again, KeyError)
        for cause in (None, Exception("plain"), SystemExit(1)):
            self.assertIs(type(exceptions.RayTaskError.make("m", "t", cause)), exceptions.RayTaskError)


class Multiplexed(unittest.IsolatedAsyncioTestCase):
    async def test_the_least_recently_used_model_is_evicted(self):
        events = []

        class Model:
            def __init__(self, id): self.id = id

            def __del__(self): events.append(f"del {self.id}")

        class App:
            @multiplex.multiplexed(max_num_models_per_replica=2)
            async def load(self, model_id: str):
                events.append(f"load {model_id}")
                await asyncio.sleep(0.01)
                return Model(model_id)

        app = App()
        first = await asyncio.gather(*[app.load("a") for _ in range(5)])
        self.assertEqual(len(set(map(id, first))), 1)
        del first
        await app.load("b")
        await app.load("a")
        await app.load("c")
        gc.collect()
        self.assertEqual(events, ["load a", "load b", "del b", "load c"])
        with self.assertRaises(TypeError):
            await app.load(5)

    async def test_a_failed_load_is_tried_again(self):
        attempts = []

        class App:
            @multiplex.multiplexed
            async def load(self, model_id: str):
                attempts.append(model_id)
                if len(attempts) == 1:
                    raise OSError("no weights")
                return model_id

        app = App()
        with self.assertRaises(OSError):
            await app.load("a")
        self.assertEqual(await app.load("a"), "a")

    async def test_asynchronous_destructors_are_awaited(self):
        ended = []

        class Model:
            async def __del__(self): ended.append(1)

        class App:
            @multiplex.multiplexed(max_num_models_per_replica=1)
            async def load(self, model_id: str):
                return Model() if model_id == "a" else None

        app = App()
        await app.load("a")
        with self.assertWarns(RuntimeWarning):  # the collector calls it too, in vain
            await app.load("b")
            gc.collect()
        self.assertEqual(ended, [1])

    async def test_only_async_functions_can_be_multiplexed(self):
        with self.assertRaises(TypeError):
            multiplex.multiplexed(lambda self, id: id)


class Imports(RuntimeCase):
    APP = """
        import ray
        @serve.deployment
        class App:
            @schema_method
            async def seen(self) -> list:
                "Modules."
                import ray.serve.handle, ray.exceptions, ray.serve.exceptions
                from ray.serve.handle import DeploymentHandle
                found = [ray.__version__, ray.serve is serve, getattr(ray, "REAL", False)]
                try:
                    ray.init("ray://head:10001")
                except RuntimeError as err:
                    found.append(str(err))
                found.append(DeploymentHandle.__module__)
                found.append(issubclass(type(ray.exceptions.RayTaskError.__mro__[0]), type))
                return found
    """

    async def test_without_ray_everything_is_ours(self):
        _, service = await self.serve(self.APP)
        found = await service.seen()
        self.assertEqual(found[:3], ["2.33.0", True, False])
        self.assertTrue(found[3].startswith("ray.init('ray://head:10001') is refused: "))
        self.assertEqual(found[4], "ray.serve.handle")

    async def test_real_ray_stays_importable_except_for_serve(self):
        real = {
            "ray/__init__.py": "__version__ = '2.99.0'\nREAL = True\ndef init(address=None, **kw): return ['real', address]\n",
            "ray/exceptions.py": "class RayTaskError(Exception): pass\n",
            "ray/serve/__init__.py": "raise ImportError('the real ray.serve')\n",
            "ray/data.py": "VALUE = 'real data'\n",
        }
        directory = await self.folder(real)
        _, service = await self.serve(self.APP + """
            @schema_method
            async def real(self) -> list:
                "The rest of Ray."
                import ray.data
                return [ray.data.VALUE, ray.init(), ray.init("auto", num_cpus=1)]
        """, environ={"PYTHONPATH": directory})
        found = await service.seen()
        self.assertEqual(found[:3], ["2.99.0", True, True])
        self.assertTrue(found[3].startswith("ray.init('ray://head:10001') is refused: "))
        self.assertEqual(await service.real(), ["real data", ["real", None], ["real", "auto"]])

    async def folder(self, files: dict[str, str]) -> str:
        import shutil, tempfile
        from pathlib import Path
        root = Path(tempfile.mkdtemp(prefix="runtime-test-ray-"))
        self.addCleanup(shutil.rmtree, root)
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        shutil.copytree(agent.PACKAGE / "bioengine_runtime", root / "bioengine_runtime")
        return str(root)
