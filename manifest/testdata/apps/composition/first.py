import ray
from ray import serve


@ray.serve.deployment(ray_actor_options={})
class First:
    async def work(self):
        return 1
