"""The process environment of a replica (contract 3.3)."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def apply(env: dict[str, str], secrets: dict[str, str], work_dir: str) -> None:
    """Set the variables, create the working directory and enter it.

    Secrets are set here, inside the process: what the kernel shows of a process'
    environment is the block it was started with, and they are not in it.
    """
    for name, value in {**env, **secrets}.items():
        if not isinstance(name, str) or not isinstance(value, str):
            kind = type(value if isinstance(name, str) else name).__name__
            raise ValueError(f"Environment variable '{name}' must be a string, got {kind}")
        os.environ[name] = value
    # Slurm sets it where devices were granted; without it a library would take every GPU it sees.
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    if work_dir:
        _enter(Path(work_dir))


def _enter(home: Path) -> None:
    (home / "tmp").mkdir(parents=True, exist_ok=True)
    home = home.resolve()
    os.environ["HOME"] = str(home)
    for name in ("TMPDIR", "TEMP", "TMP"):
        os.environ[name] = str(home / "tmp")
    tempfile.tempdir = None  # forget what was found before TMPDIR was set
    os.chdir(home)
