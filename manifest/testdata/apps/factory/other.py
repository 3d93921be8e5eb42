from ray import serve


class Plain:
    def __init__(self, a: int):
        pass


Other = serve.deployment(num_replicas=3, ray_actor_options={"num_cpus": 3})(Plain)
