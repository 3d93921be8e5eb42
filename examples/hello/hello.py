"""A first application: text, arrays, logging, an environment variable and a secret."""

import hashlib
import logging
import os
from typing import Any, Dict

from hypha_rpc.utils.schema import schema_method
from pydantic import Field
from ray import serve

logger = logging.getLogger("ray.serve")


@serve.deployment(
    ray_actor_options={
        "num_cpus": 1,
        "memory": 512 * 1024**2,
        "runtime_env": {"env_vars": {"GREETING": "Hello"}},
    },
    max_ongoing_requests=10,
)
class Hello:
    """Greets people and does a little arithmetic."""

    def __init__(self, punctuation: str = "!") -> None:
        self.punctuation = punctuation
        self.greeted = 0

    async def async_init(self) -> None:
        logger.info("ready to greet with %r", os.environ["GREETING"])

    async def test_deployment(self) -> None:
        assert (await self.greet(name="test")).startswith(os.environ["GREETING"])

    def check_health(self) -> None:
        if self.greeted < 0:
            raise RuntimeError("the counter of greetings ran backwards")

    @schema_method
    async def greet(self, name: str = Field(..., description="Whom to greet")) -> str:
        """Return a greeting in the words of the GREETING variable."""
        self.greeted += 1
        logger.info("greeting number %d goes to %s", self.greeted, name)
        print(f"greeted {name}")
        return f"{os.environ['GREETING']}, {name}{self.punctuation}"

    @schema_method
    async def normalise(self, image: Any = Field(..., description="Array of numbers")) -> Any:
        """Scale an array to zero mean and unit variance; shape and type float32."""
        import numpy as np

        values = np.asarray(image, dtype="float32")
        spread = float(values.std()) or 1.0
        return (values - values.mean()) / np.float32(spread)

    @schema_method
    async def echo(self, value: Any = Field(..., description="Anything")) -> Any:
        """Return the argument as it came."""
        return value

    @schema_method
    async def whoami(self) -> Dict[str, Any]:
        """Tell where the replica runs, and prove that it knows its secret without showing it."""
        secret = os.environ.get("API_KEY", "")
        return {
            "host": os.uname().nodename,
            "home": os.environ["HOME"],
            "artifact": os.environ["HYPHA_ARTIFACT_ID"],
            "secret_sha256": hashlib.sha256(secret.encode()).hexdigest() if secret else None,
        }
