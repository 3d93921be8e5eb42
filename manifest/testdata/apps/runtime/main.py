import os

from elsewhere import BASE, Parent, extra
from ray import serve

CPUS = int(os.environ.get("CPUS", "2"))
if os.path.exists("/dev/nvidia0"):
    GPUS = 1
else:
    GPUS = 0


@serve.deployment(
    ray_actor_options={
        "num_cpus": CPUS,
        "num_gpus": GPUS,
        "memory": 4 * 1024**3,
        "runtime_env": {"pip": ["numpy", extra], "env_vars": {"A": os.environ["A"]}},
    },
    max_ongoing_requests=os.cpu_count(),
    num_replicas="auto",
    **BASE,
)
class Main(Parent):
    pass
