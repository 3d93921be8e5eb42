import asyncio, os, sys, logging, time
from hypha_rpc.utils.schema import schema_method
from pydantic import Field
from ray import serve

import threading
@serve.deployment
class App:
    def async_init(self):
        print(threading.current_thread() is threading.main_thread())
    @schema_method
    async def ping(self) -> str:
        "Answer."
        return "pong"
