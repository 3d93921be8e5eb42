import asyncio, os, sys, logging, time
from hypha_rpc.utils.schema import schema_method
from pydantic import Field
from ray import serve

@serve.deployment
class App:
    @schema_method
    async def leave(self) -> None:
        "A task that fails."
        async def fail():
            raise ValueError("lost in the background")
        asyncio.create_task(fail())
