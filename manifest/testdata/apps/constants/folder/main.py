from hypha_rpc.utils.schema import schema_method as public
from ray import serve as s
from ray.serve.config import AutoscalingConfig

GB = 1024**3
TORCH = "2.5.1"
CUDA = True
BASE = {
    "num_cpus": max(2, round(3.6)),
    "memory": int(1.5 * GB),
    "runtime_env": {"pip": [f"torch=={TORCH}" if CUDA else "torch", "numpy" ">=1.26"], "env_vars": {"A": "1" + "2"}},
}
GPU = {"num_gpus": 1, "accelerator_type": "A100", "resources": {"licence": 2}} if CUDA else {}


class Base:
    def __init__(self, greeting: str, count: int = 1, **extra):
        pass

    @public
    def shared(self):
        return 1

    @public
    def hidden(self):
        return 2


@s.deployment(
    ray_actor_options={**BASE, **GPU, "num_cpus": 8},
    autoscaling_config=AutoscalingConfig(min_replicas=0, max_replicas=2 + 2, upscale_delay_s=3.0),
    max_constructor_retry_count=5,
    route_prefix=None,
)
class Main(Base):
    @public
    def own(self):
        return 3

    def hidden(self):
        return 4
