import asyncio, os, sys, logging, time
from hypha_rpc.utils.schema import schema_method
from pydantic import Field
from ray import serve

@serve.deployment
class App:
    def __init__(self):
        self.log = []

    @schema_method
    async def sleep(self, seconds: float = Field(..., description="s")) -> str:
        "Sleep."
        self.log.append("started")
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.log.append("cancelled")
            raise
        return "slept"

    @schema_method
    async def stubborn(self) -> str:
        "Ignore cancellation."
        self.log.append("started")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "answered anyway"

    @schema_method
    async def give_up(self) -> None:
        "Cancel itself."
        raise asyncio.CancelledError()

    @schema_method
    async def returns_give_up(self) -> object:
        "A function that cancels itself."
        async def give_up():
            raise asyncio.CancelledError()
        return give_up

    @schema_method
    async def block(self, seconds: float = Field(..., description="s")) -> str:
        "Block the loop."
        print("blocking")
        time.sleep(seconds)
        return "blocked"

    @schema_method
    def block_thread(self, seconds: float = Field(..., description="s")) -> str:
        "Block a thread."
        time.sleep(seconds)
        return "blocked"

    @schema_method
    async def seen(self) -> list:
        "What happened."
        return self.log
