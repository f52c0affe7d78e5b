"""Commands of the measured clients, from a file (or a count) and a URL."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.measure import SINK_ARGUMENTS, rt_command

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Command = Callable[[str, str], list[str]]
    """Of a file (or a count) and a URL."""

HERE = Path(__file__).parent
PACKAGES = ("openai", "picows", "websockets", "msgspec", "av", "soxr")
"""Packages whose versions count."""


def installed(package: str) -> str | None:
    """Return the version of a package; None without it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def present(clients: Mapping[str, Command]) -> dict[str, Command]:
    """Return the clients whose package is installed, by the first word of their names."""
    absent = {package for package in PACKAGES if installed(package) is None}
    return {name: command for name, command in clients.items() if name.split(",")[0] not in absent}


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
