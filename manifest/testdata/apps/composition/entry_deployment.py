from __future__ import annotations

from typing import TYPE_CHECKING

import ray.serve as rs
from hypha_rpc.utils import schema

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle as Handle


@rs.deployment
class Entry:
    def __init__(self, demo_input: str, first: Handle, second: "DeploymentHandle"):
        self.first = first

    @schema.schema_method
    async def calculate(self, number: int) -> str:
        return "x"
