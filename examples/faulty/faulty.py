"""An application that fails where it is told to.

FAULT names the place: import, init, init-hang, async-init, health, test, or nothing. The methods fail later, on request.
"""

import asyncio
import logging
import os
import signal
import sys
import time
import uuid

from hypha_rpc.utils.schema import schema_method
from pydantic import Field
from ray import serve

LIFE = uuid.uuid4().hex
logger = logging.getLogger("ray.serve")

if os.environ.get("FAULT") == "import":
    import a_package_that_nobody_has  # noqa: F401


@serve.deployment(ray_actor_options={"num_cpus": 1, "memory": 300 * 1024**2}, health_check_period_s=1, health_check_timeout_s=2)
class Faulty:
    def __init__(self) -> None:
        self.fault = os.environ.get("FAULT", "")
        if self.fault == "init":
            raise ValueError("the constructor was told to fail")
        if self.fault == "init-hang":
            time.sleep(3600)
        self.well = True

    async def async_init(self) -> None:
        if self.fault == "async-init":
            raise FileNotFoundError("the weights are not where they should be")

    async def test_deployment(self) -> None:
        if self.fault == "test":
            raise AssertionError("the model's answer is wrong")

    async def check_health(self) -> None:
        if self.fault == "health" or not self.well:
            raise RuntimeError("the device does not answer")

    @schema_method
    async def ping(self) -> str:
        """Answer, to show that the replica lives."""
        return "pong"

    @schema_method
    async def life(self) -> str:
        """Return an id that tells one replica from its successor; process ids repeat, as each container counts anew."""
        return LIFE

    @schema_method
    async def raise_error(self, text: str = Field("something is wrong", description="Text of the error")) -> None:
        """Raise a ValueError."""
        raise ValueError(text)

    @schema_method
    async def fall_ill(self) -> None:
        """Fail every health check from now on."""
        self.well = False

    @schema_method
    async def crash(self, how: str = Field("exit", description="exit, kill or segfault")) -> None:
        """End the process in the middle of the call."""
        logger.error("ending myself: %s", how)
        sys.stderr.flush()
        if how == "exit":
            os._exit(3)
        os.kill(os.getpid(), signal.SIGSEGV if how == "segfault" else signal.SIGKILL)

    @schema_method
    async def hang(self, seconds: float = Field(3600.0, description="How long")) -> str:
        """Block the event loop, as a careless deployment would."""
        time.sleep(seconds)
        return "awake again"

    @schema_method
    async def wait(self, seconds: float = Field(1.0, description="How long")) -> str:
        """Wait as one should, leaving the loop to others."""
        await asyncio.sleep(seconds)
        return "waited"
