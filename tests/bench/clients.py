"""Commands of the measured clients, from a file (or a count) and a URL."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.measure import SINK_ARGUMENTS, rt_command

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent


def peer(client: str, chunk_ms: int, *extra: str) -> Callable[[str, str], list[str]]:
    """Return a client of :mod:`tests.bench.peers`, or the naive client."""
    script = ["naive.py"] if client == "naive" else ["peers.py", client]
    return lambda path, url: [sys.executable, str(HERE / script[0]), *script[1:], path, url, str(chunk_ms), *extra]


def rt(*extra: str) -> Callable[[str, str], list[str]]:
    """Return ``rt send``."""
    return lambda path, url: rt_command(
        "send", path, "--url", url, "--turn-detection", "server_vad", *extra, *SINK_ARGUMENTS
    )


def receiver(client: str) -> Callable[[str, str], list[str]]:
    """Return a client of :mod:`tests.bench.receive`."""
    return lambda count, url: [sys.executable, str(HERE / "receive.py"), client, url, count]
