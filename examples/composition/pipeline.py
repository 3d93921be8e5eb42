"""The entry: sends work to two other deployments and joins their answers."""

import asyncio
import logging
from typing import Any, Dict

from hypha_rpc.utils.schema import schema_method
from pydantic import Field
from ray import serve
from ray.serve.handle import DeploymentHandle

logger = logging.getLogger("ray.serve")


@serve.deployment(ray_actor_options={"num_cpus": 1, "memory": 400 * 1024**2}, max_ongoing_requests=20)
class Pipeline:
    # Handles are named after the files of the other deployments.
    def __init__(self, label: str, statistics: DeploymentHandle, model: DeploymentHandle) -> None:
        self.label = label
        self.statistics = statistics
        self.model = model

    @schema_method
    async def analyse(self, image: Any = Field(..., description="Two-dimensional array")) -> Dict[str, Any]:
        """Ask both helpers at once and return their answers together."""
        stats, mask = await asyncio.gather(
            self.statistics.describe.remote(image),
            self.model.segment.remote(image, threshold=0.5),
        )
        logger.info("analysed an image of shape %s", getattr(image, "shape", None))
        return {"label": self.label, "statistics": stats, "mask": mask}

    @schema_method
    async def fail_in_helper(self) -> str:
        """Show how an error of a helper reaches the entry."""
        try:
            await self.statistics.describe.remote("not an array")
        except TypeError as error:
            return f"caught TypeError: {error}"
        return "nothing was raised"

    @schema_method
    async def where(self) -> Dict[str, Any]:
        """Name the jobs that the three deployments run in."""
        gpu, host = await asyncio.gather(self.model.devices.remote(), self.statistics.host.remote())
        import os

        return {"pipeline": os.uname().nodename, "statistics": host, "model": gpu}
