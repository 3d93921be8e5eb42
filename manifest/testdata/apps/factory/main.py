from ray import serve


def make(gpus):
    @serve.deployment(ray_actor_options={"num_gpus": gpus})
    class Made:
        pass

    return Made


Main = make(2)
