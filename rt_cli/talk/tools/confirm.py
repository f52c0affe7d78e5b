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
    from collections.abc import Sequence

_TERMINAL = "/dev/tty"
_MOST_BYTES = 100


async def confirmed(argv: Sequence[str], timeout_s: float) -> bool | None:
    """Return whether the user says y; None without a terminal. Cancellation leaves the question unanswered.

    Args:
        argv: Program and arguments, shown as a shell would take them.
        timeout_s: After which the answer is no.
    """
    return await asyncio.to_thread(_ask, printable(shlex.join(argv)), timeout_s)


def _ask(command: str, timeout_s: float) -> bool | None:
    try:
        terminal = os.open(_TERMINAL, os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return None
    try:
        os.write(terminal, f"rt: the endpoint wants to run: {command}\nrun it? [y/N] ".encode())
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
    return answer.strip().lower() in {b"y", b"yes"}
