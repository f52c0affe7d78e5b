"""What a server asks of its process, and says to people."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

_FILES = 4_096
"""Open at once, if we may."""


def allow_many_files() -> None:
    """As many open connections as the system lets us have without asking anybody; Windows has no such limit."""
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def tell_once() -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """What goes wrong in the event loop itself, in one line each: without this a full system floods stderr."""
    told: set[str] = set()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if os.environ.get("RT_DEBUG") == "1":
            loop.default_exception_handler(context)
        elif (line := f"{context['message']}: {context.get('exception')!r}") not in told:
            told.add(line)
            warn(line)

    return handle


def warn(text: str) -> None:
    """One line for people on stderr; the text is untrusted."""
    if sys.stderr is None:  # closed before the start; print would take stdout in its place
        return
    print(f"warning: {printable(text)}", file=sys.stderr)  # noqa: T201 - stderr is for people
