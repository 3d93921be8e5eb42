import asyncio, os, sys, logging, time
from hypha_rpc.utils.schema import schema_method
from pydantic import Field
from ray import serve

@serve.deployment
class App:
    def __init__(self):
        context = serve.get_replica_context()
        self.seen = [context.app_name, context.deployment, context.replica_tag]
    @schema_method
    async def ping(self) -> list:
        "Answer."
        return self.seen + [serve.get_replica_context().servable_object is self]
