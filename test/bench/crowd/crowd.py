"""Never runs: its jobs are held."""

from hypha_rpc.utils.schema import schema_method
from ray import serve


@serve.deployment(num_replicas=1000, ray_actor_options={"num_cpus": 1})
class Crowd:
    """One of many."""

    @schema_method
    async def echo(self, value: int) -> int:
        """Return the argument as it came."""
        return value
