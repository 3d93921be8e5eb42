"""Calls of Hypha clients: values, errors, callbacks, context, cancellation."""

from __future__ import annotations

from case import RuntimeCase

HELLO = """
    @serve.deployment(ray_actor_options={"num_cpus": 1})
    class App:
        @schema_method
        async def greet(self, name: str = Field("you", description="Whom")) -> str:
            "Say hello."
            return f"Hello {name}!"
"""


class Calls(RuntimeCase):
    async def test_a_method_answers_a_call(self):
        agent, service = await self.serve(HELLO)
        self.assertEqual(agent.steps, ["import", "init", "async_init", "check_health"])
        self.assertEqual(self.ready["methods"], ["greet"])
        self.assertEqual(await service.greet("World"), "Hello World!")
