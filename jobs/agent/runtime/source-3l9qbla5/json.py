import asyncio, os, sys, logging, time
from hypha_rpc.utils.schema import schema_method
from pydantic import Field
from ray import serve

import json
@serve.deployment
class App:
    @schema_method
    async def seen(self) -> str:
        "Uses the real json through httpx' sake."
        import importlib
        return sys.modules["json"].dumps({"a": 1})
