"""Ask the user at the terminal before a tool runs. A spoken yes never runs a program."""

from __future__ import annotations

import asyncio
import os
import select
import shlex
import time
from typing import TYPE_CHECKING

from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

_TERMINAL = "/dev/tty"
_MOST_BYTES = 100


class Confirmer:
    """Asks one question at a time: an answer never belongs to another call."""

    def __init__(self) -> None:
        self.next_line: Callable[[], Awaitable[str]] | None = None
        """Returns the next line that the user types, where the conversation itself is typed at the terminal."""
        self._free = asyncio.Lock()

    async def confirmed(self, argv: Sequence[str], timeout_s: float) -> bool | None:
        """Return whether the user says y; None without a terminal. Cancellation leaves the question unanswered.

        Args:
            argv: Program and arguments, shown as a shell would take them.
            timeout_s: After which the answer is no.
        """
        question = f"rt: the endpoint wants to run: {printable(shlex.join(argv))}\nrun it? [y/N] "
        async with self._free:
            if self.next_line is None:
                return await asyncio.to_thread(_ask, question, timeout_s)
            # Begun before the question is seen: an answer may be quick.
            answer = asyncio.ensure_future(self.next_line())
            try:
                if not await asyncio.to_thread(_show, question):
                    return None
                async with asyncio.timeout(timeout_s):
                    return _is_yes(await answer)
            except TimeoutError:
                return False
            finally:
                answer.cancel()


def can_ask() -> bool:
    """Return whether there is a terminal to ask at, which on Windows there is not."""
    return _show("")


def _show(text: str) -> bool:
    try:
        terminal = os.open(_TERMINAL, os.O_RDWR | getattr(os, "O_NOCTTY", 0))
        try:
            os.write(terminal, text.encode())
        finally:
            os.close(terminal)
    except OSError:
        return False
    return True


def _is_yes(answer: str) -> bool:
    return answer.strip().lower() in {"y", "yes"}


def _ask(question: str, timeout_s: float) -> bool | None:
    try:
        terminal = os.open(_TERMINAL, os.O_RDWR | getattr(os, "O_NOCTTY", 0))
    except OSError:
        return None
    try:
        os.write(terminal, question.encode())
        until = time.monotonic() + timeout_s
        answer = b""
        while not answer.endswith(b"\n") and len(answer) < _MOST_BYTES:
            left = until - time.monotonic()
            if left <= 0 or not select.select([terminal], [], [], left)[0]:
                return False
            piece = os.read(terminal, _MOST_BYTES)
            if not piece:
                return False
            answer += piece
    except OSError:
        return None
    finally:
        os.close(terminal)
    return _is_yes(answer.decode("utf-8", "replace"))
