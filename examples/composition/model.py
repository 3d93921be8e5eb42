"""A helper with a GPU: it stands for a segmentation model."""

import os
from typing import Any, Dict

from ray import serve

GIB = 1024**3


@serve.deployment(ray_actor_options={"num_cpus": 1, "num_gpus": 1, "memory": 0.5 * GIB})
class Model:
    def __init__(self, invert: bool = False) -> None:
        self.invert = invert

    async def segment(self, image: Any, threshold: float = 0.5) -> Any:
        mask = image > threshold
        return ~mask if self.invert else mask

    def devices(self) -> Dict[str, Any]:
        return {"host": os.uname().nodename, "cuda": os.environ.get("CUDA_VISIBLE_DEVICES", "")}
