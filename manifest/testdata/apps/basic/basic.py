"""A deployment in the style of the guide."""
import asyncio
import os
from typing import Any, Dict

from hypha_rpc.utils.schema import schema_method
from pydantic import Field
from ray import serve


@serve.deployment(
    ray_actor_options={
        "num_cpus": 2,
        "num_gpus": 0.5,
        "memory": 2 * 1024**3,
        "runtime_env": {
            "pip": ["numpy", "scikit-learn==1.3.0"],
            "env_vars": {"CUSTOM_VAR": "value"},
        },
    },
    max_ongoing_requests=10,
    max_queued_requests=-1,
    num_replicas=2,
    health_check_period_s=10,
    health_check_timeout_s=7.5,
    graceful_shutdown_timeout_s=20,
    logging_config={"log_level": "debug"},
    user_config={"threshold": 0.5, "steps": 3, "ratio": 1.0, "names": ("a", "b")},
    placement_group_strategy="PACK",
)
class Basic:
    def __init__(self, model_path: str, size: int = 3, *, tags: list[str] = ()):
        self.model = None

    @schema_method
    async def predict(self, data: str = Field(..., description="Input")) -> Dict[str, Any]:
        return {"result": data}

    @schema_method
    def ping(self) -> str:
        return "pong"

    async def async_init(self) -> None:
        pass


if __name__ == "__main__":
    asyncio.run(Basic.func_or_class().predict("x"))
