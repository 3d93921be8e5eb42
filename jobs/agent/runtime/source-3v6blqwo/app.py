import asyncio, os, sys, logging, time
from hypha_rpc.utils.schema import schema_method
from pydantic import Field
from ray import serve

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
