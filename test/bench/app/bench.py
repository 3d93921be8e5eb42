"""The class of the benchmarks: plain hypha-rpc serves it as well as the controller."""

from typing import Any

from hypha_rpc.utils.schema import schema_method
from pydantic import Field
from ray import serve


@serve.deployment(ray_actor_options={"num_cpus": 1, "memory": 512 * 1024**2}, max_ongoing_requests=100)
class Bench:
    """Gives back what it gets."""

    @schema_method
    async def echo(self, value: Any = Field(..., description="Anything")) -> Any:
        """Return the argument as it came."""
        return value
