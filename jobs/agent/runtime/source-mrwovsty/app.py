import asyncio, os, sys, logging, time
from hypha_rpc.utils.schema import schema_method
from pydantic import Field
from ray import serve

@serve.deployment(ray_actor_options={"num_cpus": 1})
class App:
    @schema_method
    async def greet(self, name: str = Field("you", description="Whom")) -> str:
        "Say hello."
        return f"Hello {name}!"
