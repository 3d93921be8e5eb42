import asyncio, os, sys, logging, time
from hypha_rpc.utils.schema import schema_method
from pydantic import Field
from ray import serve

SECRET = "module secret"

@serve.deployment
class App:
    @schema_method
    async def handle(self) -> object:
        "Return a function."
        def reader():
            return "read"
        return reader

    @schema_method
    async def ping(self) -> str:
        "Answer."
        return "pong"
