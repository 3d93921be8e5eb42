import asyncio, os, sys, logging, time
from hypha_rpc.utils.schema import schema_method
from pydantic import Field
from ray import serve

def make(name):
    class Inner:
        @schema_method
        async def seen(self) -> str:
            "Name."
            return name
    return serve.deployment(ray_actor_options={"num_cpus": 2})(Inner).options(name="renamed")
App = make("made")
