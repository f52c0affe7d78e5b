"""The process that ends MCP servers when ``rt`` is gone: one for all of them."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

_MAIN = Path(__file__).with_name("guard_main.py")
_ENDED_WITHIN_S = 2.0


class Guard:
    """Knows the process groups of the servers. Its session is its own: no signal of the terminal ends it."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._starting = asyncio.Lock()

    async def watch(self, group: int) -> None:
        """End this process group with ``rt``. Cancellation leaves it unwatched.

        Raises:
            OSError: The process cannot be started.
        """
        async with self._starting:
            if self._process is None:
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-I", "-S", str(_MAIN)),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.DEVNULL,
                    start_new_session=True,
                )
        self._write(f"+{group}\n")

    def forget(self, group: int) -> None:
        """Leave a process group alone, which has ended."""
        self._write(f"-{group}\n")

    async def close(self) -> None:
        """End the process, and what it still watches. Idempotent; cancellation kills it."""
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            async with asyncio.timeout(_ENDED_WITHIN_S):
                await process.wait()
        except TimeoutError:
            pass  # it is killed below
        finally:
            with suppress(ProcessLookupError):
                process.kill()

    def _write(self, line: str) -> None:
        # A guard that somebody killed guards nothing; the servers still end with their stdin.
        if self._process is not None and self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(line.encode())
