"""Constructor arguments: the checks and texts of contract 3.4."""

import typing
import unittest

import agent  # noqa: F401  (makes the package importable)
from bioengine_runtime import arguments, methods


class Handle:
    """Stands for DeploymentHandle, whose name postponed annotations carry."""


Handle.__name__ = "DeploymentHandle"


class Build(unittest.TestCase):
    def build(self, cls, given=None, handles=None):
        return arguments.build(cls, given or {}, handles or {}, Handle)

    def refuse(self, text, cls, given=None, handles=None):
        with self.assertRaises(ValueError) as caught:
            self.build(cls, given, handles)
        self.assertEqual(str(caught.exception), text)

    def test_given_arguments_are_passed_on(self):
        class App:
            def __init__(self, a: int, b: typing.List[str] = None, *, c: float | None = 1.5, **rest): ...

        given = {"a": True, "b": ["x"], "c": 2, "other": 5}
        self.assertEqual(self.build(App, given), given)

    def test_a_class_without_a_constructor_takes_nothing(self):
        class App: ...

        self.assertEqual(self.build(App), {})
        self.refuse("Unexpected parameter 'x' provided. Expected one of [].", App, {"x": 1})

    def test_unexpected_and_missing_parameters(self):
        class App:
            def __init__(self, a: int, b: str, c, d=4, *args): ...

        self.refuse("Unexpected parameter 'z' provided. Expected one of ['a', 'b', 'c', 'd'].", App, {"z": 1})
        self.refuse("Missing required parameter 'a' of type int.", App)
        self.refuse("Missing required parameter 'c' of type unknown.", App, {"a": 1, "b": "x"})

    def test_types_are_checked_as_isinstance_does(self):
        class App:
            def __init__(self, a: int = 0, f: float = 0.0, l: typing.Dict[str, int] = None, u: int | str = 0,
                         o: typing.Optional[int] = None, x: typing.Any = None, s: "int" = 0,
                         t: typing.Literal["a"] = "a", g: list[int] = None): ...

        self.refuse("Parameter 'a' must be of type int, but got str.", App, {"a": "1"})
        self.refuse("Parameter 'f' must be of type float, but got int.", App, {"f": 1})
        self.refuse("Parameter 'l' must be of type typing.Dict[str, int], but got list.", App, {"l": []})
        self.refuse("Parameter 'g' must be of type list[int], but got dict.", App, {"g": {}})
        skipped = {"u": 1.5, "o": "x", "x": object(), "s": "text", "t": "b"}
        self.assertEqual(self.build(App, skipped), skipped)

    def test_handles_go_to_the_parameters_named_for_them(self):
        class App:
            def __init__(self, a: Handle, b: "DeploymentHandle", c: "handle.DeploymentHandle", d: Handle | None = None): ...

        handles = {name: Handle() for name in "abcd"}
        self.assertEqual(self.build(App, handles=handles), handles)
        self.refuse("Missing required parameter 'b' of type DeploymentHandle.", App, handles={"a": Handle()})
        self.refuse("Parameter 'a' must be of type DeploymentHandle, but got str.", App, {"a": "x"})
        self.refuse("Parameter 'e' not found in entry deployment 'App' init method. "
                    "Available parameters: ['a', 'b', 'c', 'd']", App, handles={"e": Handle()})

    def test_a_handle_needs_its_annotation(self):
        class App:
            def __init__(self, a: int, b, c: "int"): ...

        for name, got in (("a", "int"), ("b", "unknown"), ("c", "int")):
            self.refuse(f"Parameter '{name}' of entry deployment 'App' must be of type DeploymentHandle, but got {got}",
                        App, handles={name: Handle()})


class Methods(unittest.TestCase):
    def test_schema_methods_are_listed_by_name_with_those_of_the_bases(self):
        def marked(function):
            function.__schema__ = {"name": function.__name__}
            return function

        class Base:
            @marked
            def alpha(self): ...

            @marked
            def overridden(self): ...

        class App(Base):
            @marked
            def zeta(self): ...

            @marked
            def _private(self): ...

            def overridden(self): ...

            @staticmethod
            @marked
            def middle(): ...

        self.assertEqual(methods.names(App), ["alpha", "middle", "zeta"])

    def test_schemas_lose_the_context_and_are_copies(self):
        def method(context, a): ...

        original = {"name": "m", "parameters": {"properties": {"a": {}, "context": {}}, "required": ["context"]}}
        method.__schema__ = original
        self.assertEqual(methods.schema(method), {"name": "m", "parameters": {"properties": {"a": {}}}})
        self.assertIn("context", original["parameters"]["properties"])
