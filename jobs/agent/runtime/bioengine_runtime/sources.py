"""The application's files: written to a private folder, imported as modules.

Siblings are importable by name, `__file__` is defined, `__name__` is never
``__main__`` (contract 3.1).
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any, Mapping


class Sources:
    """One application's files in a folder that goes away with the process."""

    def __init__(self, files: Mapping[str, bytes]):
        # Beside this package when possible: the agent removes that folder even after a crash.
        beside = Path(__file__).resolve().parent.parent
        parent = beside if os.access(beside, os.W_OK) else None
        self.folder = Path(tempfile.mkdtemp(prefix="source-", dir=parent))
        for name, content in files.items():
            self._write(name, content)
        sys.path.insert(0, str(self.folder))

    def _write(self, name: str, content: bytes) -> None:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.name or "\0" in name:
            raise ValueError(f"Invalid file name in application: '{name}'")
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def load(self, file: str, variables: Mapping[str, str]) -> ModuleType:
        """Execute a deployment file (named without ``.py``) once.

        The application's variables are plain globals of the module before its
        first line runs.
        """
        file = file.removesuffix(".py")
        path = self.folder / (file + ".py")
        if not path.is_file():
            raise FileNotFoundError(f"Deployment file not found in application: '{file}.py'")
        module = self._module(_module_name(file), path)
        for name, value in variables.items():
            if name.isidentifier():
                module.__dict__.setdefault(name, value)
        module.__spec__.loader.exec_module(module)
        return module

    def _module(self, name: str, path: Path) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        return module


def _module_name(file: str) -> str:
    """The name siblings import it by, unless that would replace another module."""
    name = file.replace("/", ".")
    taken = name in sys.modules or name.partition(".")[0] in sys.stdlib_module_names
    return f"bioengine_application.{name}" if taken else name


def find_deployment(module: ModuleType, class_name: str, artifact: str) -> Any:
    """The deployment object that the manifest names."""
    try:
        found = getattr(module, class_name)
    except AttributeError:
        raise ValueError(f"{class_name} not found in {artifact or module.__name__}") from None
    target = getattr(found, "func_or_class", None)
    if target is None:
        raise ValueError(
            f"{class_name} in {artifact or module.__name__} is not a Ray Serve deployment: "
            "decorate the class with @serve.deployment"
        )
    if not isinstance(target, type):
        raise ValueError(f"{class_name} must be a class, but its deployment wraps a {type(target).__name__}")
    return found
