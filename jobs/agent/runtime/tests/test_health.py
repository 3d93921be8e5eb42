"""Health checks and the background test."""

from __future__ import annotations

from case import RuntimeCase

APP = """
    @serve.deployment
    class App:
        def __init__(self, test: str = "pass"):
            self.healthy, self.test, self.release = True, test, asyncio.Event()

        def check_health(self):
            if not self.healthy:
                raise RuntimeError("model is gone")

        async def test_deployment(self):
            await self.release.wait()
            if self.test == "fail":
                assert False, "wrong output"
            if self.test == "cancel":
                raise asyncio.CancelledError()
            print("tested")

        @schema_method
        async def let_test_run(self) -> None:
            "Go on."
            self.release.set()

        @schema_method
        async def break_it(self) -> None:
            "Become unhealthy."
            self.healthy = not self.healthy
"""


class Health(RuntimeCase):
    async def ask(self, agent, id: int = 1) -> dict:
        agent.tell(type="health", id=id)
        return await agent.next("health")

    async def test_a_healthy_replica_says_so(self):
        agent, service = await self.serve(APP)
        self.assertEqual(await self.ask(agent, 41), {"type": "health", "id": 41, "ok": True})
        await service.let_test_run()
        await agent.line("stdout", "tested")
        self.assertTrue((await self.ask(agent, 42))["ok"])

    async def test_a_failing_check_is_told_and_may_recover(self):
        agent, service = await self.serve(APP)
        await service.break_it()
        self.assertEqual(await self.ask(agent),
                         {"type": "health", "id": 1, "ok": False, "error": "RuntimeError: model is gone"})
        await service.break_it()
        self.assertTrue((await self.ask(agent))["ok"])

    async def test_a_failed_test_makes_every_later_check_fail(self):
        for kind, reason in (("fail", "AssertionError: wrong output"), ("cancel", "asyncio.exceptions.CancelledError")):
            agent, service = await self.serve(APP, kwargs={"test": kind})
            self.assertTrue((await self.ask(agent))["ok"])
            await service.let_test_run()
            await agent.line("stderr", "test_deployment failed:")
            for id in (2, 3):
                answer = await self.ask(agent, id)
                self.assertEqual(answer["error"],
                                 f"RuntimeError: Deployment test failed - deployment is unhealthy ({reason})")

    async def test_before_ready_the_answer_is_no(self):
        agent = await self.launch()
        self.assertEqual((await self.ask(agent))["ok"], False)
