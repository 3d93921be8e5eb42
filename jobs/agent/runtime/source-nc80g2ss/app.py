import asyncio, os, sys, logging, time
from hypha_rpc.utils.schema import schema_method
from pydantic import Field
from ray import serve

print("import")
@serve.deployment(user_config={"a": 1})
class App:
    def __init__(self, greeting: str, times: int = 2):
        print("init", greeting, times)
    def reconfigure(self, config):
        print("reconfigure", config)
    async def async_init(self):
        await asyncio.sleep(0.01)
        print("async_init")
    def check_health(self):
        print("check_health")
    async def test_deployment(self, n=3):
        print("test", n)
    @schema_method
    async def ping(self) -> str:
        "Answer."
        return "pong"
