"""The FIFO of push to talk: several readers, odd names."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from rt_cli.cli.controls.fifo import Fifo
from rt_cli.errors import UsageError
from tests.fakes import run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no such pipes here")


def test_two_readers_of_one_fifo(tmp_path: Path) -> None:
    """Each line goes to one of them; the slower one finds nothing, and goes on."""
    heard: list[str] = []
    problems: list[object] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: problems.append(context))
        fifos = [Fifo(str(tmp_path / "talk"), loop, heard.append) for _ in range(2)]
        writer = os.open(tmp_path / "talk", os.O_WRONLY)
        for number in range(20):
            os.write(writer, f"line {number}\n".encode())
            while len(heard) <= number:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0)
        os.close(writer)
        for fifo in fifos:
            fifo.close()

    run(scenario())
    assert heard == [f"line {number}" for number in range(20)]
    assert problems == []


@pytest.mark.parametrize("name", ["x" * 300, "nul\0", "dangling", "none/talk", "file"])
def test_names_that_are_no_fifo(name: str, tmp_path: Path) -> None:
    """Usage errors."""
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "file").touch()

    async def scenario() -> None:
        with pytest.raises(UsageError, match="give another --ptt-fifo"):
            Fifo(str(tmp_path / name), asyncio.get_running_loop(), print)

    run(scenario())
