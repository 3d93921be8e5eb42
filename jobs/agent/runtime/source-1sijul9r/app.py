import asyncio, os, sys, logging, time
from hypha_rpc.utils.schema import schema_method
from pydantic import Field
from ray import serve

SEEN = [MODE, KEY]
@serve.deployment
class App:
    @schema_method
    async def seen(self) -> list:
        "Globals."
        return SEEN
