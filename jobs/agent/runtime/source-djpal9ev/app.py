import asyncio, os, sys, logging, time
from hypha_rpc.utils.schema import schema_method
from pydantic import Field
from ray import serve

@serve.deployment
class App:
    def __init__(self):
        self.closed = False

    @schema_method
    async def count(self, callback: object = Field(..., description="f"), n: int = Field(5, description="n")) -> list:
        "Call back."
        return [await callback(i) for i in range(n)]

    @schema_method
    def count_in_thread(self, options: dict = Field(..., description="with f inside")) -> list:
        "Call back from a thread."
        return [options["callback"](i).result(5) for i in range(3)]

    @schema_method
    async def counter(self) -> object:
        "Return a function that remembers."
        state = [0]
        async def step(by=1):
            state[0] += by
            return state[0]
        return step

    @schema_method
    async def numbers(self, n: int = Field(3, description="n")) -> object:
        "An async generator."
        async def generate():
            try:
                for i in range(n):
                    yield i
            finally:
                self.closed = True
        return generate()

    @schema_method
    def letters(self) -> object:
        "A plain generator."
        yield from "abc"

    @schema_method
    async def was_closed(self) -> bool:
        "Whether the generator has ended."
        return self.closed
