"""What ``rt --version`` prints: the version, then what else a report of a bug needs. Imports next to nothing."""

from __future__ import annotations

import os
import sys

from rt_cli import __version__


def version_text() -> str:
    """Return the version; then Python and system; then the commit, where rt was installed from git."""
    python = ".".join(map(str, sys.version_info[:3]))
    lines = [f"rt {__version__}", f"Python {python} ({sys.implementation.name}), {_system()}"]
    commit = commit_of(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120 - no imports
    return "\n".join([*lines, f"commit {commit}"] if commit else lines)


def commit_of(folder: str) -> str | None:
    """Return the commit that the package in a folder was installed from; None if it was not installed from git.

    By what installers write (PEP 610).
    """
    names = [name for name in os.listdir(folder) if name.startswith("rt_cli-") and name.endswith(".dist-info")]  # noqa: PTH208
    for name in names:
        try:
            with open(os.path.join(folder, name, "direct_url.json"), "rb") as file:  # noqa: PTH118, PTH123
                import json

                commit = json.load(file)["vcs_info"]["commit_id"]
        except (OSError, ValueError, LookupError, TypeError):
            continue
        if isinstance(commit, str) and commit.isalnum():
            return commit
    return None


def _system() -> str:
    if hasattr(os, "uname"):
        found = os.uname()
        return f"{found.sysname} {found.release} {found.machine}"
    return sys.platform
