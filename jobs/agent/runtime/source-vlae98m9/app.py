import asyncio, os, sys, logging, time
from hypha_rpc.utils.schema import schema_method
from pydantic import Field
from ray import serve

import helper
from lib.deep import VALUE
@serve.deployment
class App:
    @schema_method
    async def seen(self) -> list:
        "Names."
        return [__name__, os.path.basename(__file__), helper.double(4), VALUE, App.name]
if __name__ == "__main__":
    raise SystemExit("main block")
