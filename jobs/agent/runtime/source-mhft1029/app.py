import asyncio, os, sys, logging, time
from hypha_rpc.utils.schema import schema_method
from pydantic import Field
from ray import serve

import tempfile
from pathlib import Path
@serve.deployment
class App:
    def __init__(self):
        self.seen = [os.getcwd(), str(Path.home()), tempfile.gettempdir()]
    @schema_method
    async def where(self) -> list:
        "Folders."
        return self.seen
