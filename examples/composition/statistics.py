"""A helper on the CPU."""

import os
from typing import Any, Dict

from ray import serve


@serve.deployment(ray_actor_options={"num_cpus": 2, "memory": 300 * 1024**2})
class Statistics:
    async def describe(self, values: Any) -> Dict[str, float]:
        import numpy as np

        if not isinstance(values, np.ndarray):
            raise TypeError(f"an array is needed, not {type(values).__name__}")
        return {"mean": float(values.mean()), "min": float(values.min()), "max": float(values.max())}

    def host(self) -> str:
        return os.uname().nodename
