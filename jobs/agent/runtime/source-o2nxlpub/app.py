import asyncio, os, sys, logging, time
from hypha_rpc.utils.schema import schema_method
from pydantic import Field
from ray import serve

logger = logging.getLogger("ray.serve")

@serve.deployment
class App:
    @schema_method
    async def variables(self) -> dict:
        "The environment."
        return dict(os.environ)

    @schema_method
    async def log(self) -> None:
        "One line each."
        logger.debug("a debug line")
        logger.info("an info line\nof two lines")
        logging.getLogger("ray.serve.child").info("a child's line")
        print("no newline yet", end="")
        print(" but now \udc80")
        print("on stderr", file=sys.stderr)
