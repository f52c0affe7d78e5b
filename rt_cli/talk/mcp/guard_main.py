"""Main of a process that ends MCP servers when ``rt`` is gone, even by ``kill -9``. Imports nothing of ours.

Each line of stdin names a process group: ``+123`` has begun, ``-123`` has ended. The end of stdin is the end of ``rt``.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress

_GRACE_S = 1.0
_POLL_S = 0.02


def main() -> None:
    """Remember the groups until stdin ends, then end those that are left."""
    groups: set[int] = set()
    for line in sys.stdin.buffer:
        (groups.add if line.startswith(b"+") else groups.discard)(int(line[1:]))
    _signal(groups, signal.SIGTERM)
    until = time.monotonic() + _GRACE_S
    while groups and time.monotonic() < until:
        time.sleep(_POLL_S)
        groups = {group for group in groups if _lives(group)}
    _signal(groups, signal.SIGKILL)


def _signal(groups: set[int], number: int) -> None:
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


if __name__ == "__main__":
    main()
