from ray.serve import deployment as deploy

OPTIONS = dict(num_cpus=0.5)


@deploy(ray_actor_options={**OPTIONS, "num_gpus": 1, "runtime_env": {"pip": []}})
class Second:
    def __init__(self, start_number):
        self.number = start_number
