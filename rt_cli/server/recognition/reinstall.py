"""How to get the demo recogniser: by which Python, and by what rt was installed. Pure."""

from __future__ import annotations

from pathlib import PurePath

_PYTHONS = {(3, 11), (3, 12), (3, 13)}
"""Versions of Python that the demo recogniser has wheels for."""
GOOD = "3.13"


def missing_recognizer(version: tuple[int, int], prefix: str) -> tuple[str, str]:
    """Return what is missing, and what to do.

    Args:
        version: Major and minor number of the Python that runs.
        prefix: Folder of its environment.
    """
    instead = "or use a real endpoint: --url"
    if version in _PYTHONS:
        return "pocketsphinx is not installed, so there is no demo recogniser", f"pip install pocketsphinx, {instead}"
    problem = f"this Python ({version[0]}.{version[1]}) has no demo recogniser"
    parts = PurePath(prefix).parts
    if "pipx" in parts:
        return problem, f"reinstall with: pipx install --python {GOOD} --force rt-cli, {instead}"
    return problem, f"reinstall with: uv tool install --python {GOOD} --reinstall rt-cli, {instead}"
