import asyncio, os, sys, logging, time
from hypha_rpc.utils.schema import schema_method
from pydantic import Field
from ray import serve

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
