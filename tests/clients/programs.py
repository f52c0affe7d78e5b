"""Programs with packages of others, each in an environment of its own."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

OTHERS = Path(__file__).parent / "others"


def interpreter(folder: Path, requirement: str) -> Path:
    """The Python of an environment with these packages; skips if they cannot be installed."""
    place = folder / "".join(letter if letter.isalnum() else "-" for letter in requirement)
    python, done = place / "bin" / "python", place / "done"
    if not done.exists():
        for command in (
            [sys.executable, "-m", "venv", str(place)],
            [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirement.split()],
        ):
            try:
                subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
            except (subprocess.SubprocessError, OSError) as exc:
                pytest.skip(f"{requirement} cannot be installed: {exc}")
        done.touch()
    return python


async def output_of(python: Path, program: str, *args: str) -> dict[str, Any]:
    """What a program says at its end: a line of JSON that begins with the words. Cancellation ends the program."""
    process = await asyncio.create_subprocess_exec(
        *(str(python), "-W", "ignore", str(OTHERS / program), *args),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    lines = [line for line in out.decode().splitlines() if line.startswith('{"words"')]
    assert lines, err.decode()[-2_000:]
    return json.loads(lines[-1])  # type: ignore[no-any-return]  # JSON
