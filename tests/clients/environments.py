"""Virtual environments for clients that want libraries that ours does not agree with; made once, and kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence


def folder_of(config: pytest.Config, factory: pytest.TempPathFactory) -> Path:
    """Where the environments are."""
    return Path(config.cache.mkdir("clients")) if config.cache else factory.mktemp("clients")


def interpreter(folder: Path, requirement: str, more: Sequence[str] = ()) -> Path:
    """The Python of an environment with this package, and more of them; skips if it cannot be installed."""
    place = folder / "".join(letter if letter.isalnum() else "-" for letter in requirement)
    python, done = place / "bin" / "python", place / "done"
    if not done.exists():
        for command in (
            [sys.executable, "-m", "venv", str(place)],
            [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement, *more],
        ):
            try:
                subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
            except (subprocess.SubprocessError, OSError) as exc:
                pytest.skip(f"{requirement} cannot be installed: {exc}")
        done.touch()
    return python
