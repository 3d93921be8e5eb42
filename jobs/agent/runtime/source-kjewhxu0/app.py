import asyncio, os, sys, logging, time
from hypha_rpc.utils.schema import schema_method
from pydantic import Field
from ray import serve

class Base:
    @schema_method
    async def inherited(self) -> str:
        "From the base class."
        return "base"

@serve.deployment(ray_actor_options={"num_cpus": 1}, max_ongoing_requests=20)
class App(Base):
    @schema_method
    async def greet(self, name: str = Field("you", description="Whom")) -> str:
        "Say hello."
        return f"Hello {name}!"

    @schema_method(arbitrary_types_allowed=True)
    async def echo(self, value: object = Field(..., description="Anything")) -> object:
        "Give it back."
        return value

    @schema_method
    async def add(self, a: int = Field(..., description="a"), b: int = Field(2, description="b")) -> int:
        "Add."
        return a + b

    @schema_method
    def whoami(self, prefix: str = Field("", description="p"), context=None) -> dict:
        "Who calls."
        return {"user": context["user"]["id"], "from": context["from"], "prefix": prefix,
                "connection": context["connection_type"]}

    @schema_method
    def shape(self, image: object = Field(..., description="array")) -> list:
        "In a thread."
        import threading
        return [list(image.shape), str(image.dtype), threading.current_thread() is threading.main_thread()]

    @schema_method
    async def fail(self, kind: str = Field("value", description="how")) -> None:
        "Raise."
        if kind == "exit":
            sys.exit(3)
        if kind == "unsupported":
            return object()
        raise ValueError("bad thing")

    @schema_method
    def fail_in_thread(self) -> None:
        "Raise."
        self.deeper()

    def deeper(self):
        raise KeyError("deep")

    @schema_method
    def stop_iteration(self) -> None:
        "Raise what futures refuse."
        raise StopIteration

    def hidden(self):
        return "not a schema method"
