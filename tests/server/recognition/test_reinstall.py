"""What a missing demo recogniser says: what to do, by Python and by what rt was installed."""

from __future__ import annotations

import pytest

from rt_cli.server.recognition.reinstall import missing_recognizer


@pytest.mark.parametrize(
    ("version", "prefix", "line"),
    [
        (
            (3, 14),
            "/home/me/.local/share/uv/tools/rt-cli",
            (
                "this Python (3.14) has no demo recogniser: reinstall with: uv tool install --python 3.13 --reinstall "
                "rt-cli, or use a real endpoint: --url"
            ),
        ),
        (
            (3, 15),
            "/home/me/.local/share/pipx/venvs/rt-cli",
            (
                "this Python (3.15) has no demo recogniser: reinstall with: pipx install --python 3.13 --force rt-cli, "
                "or use a real endpoint: --url"
            ),
        ),
        (
            (3, 14),
            "/home/me/.venv",
            (
                "this Python (3.14) has no demo recogniser: reinstall with: uv tool install --python 3.13 --reinstall "
                "rt-cli, or use a real endpoint: --url"
            ),
        ),
        (
            (3, 11),
            "/home/me/.venv",
            (
                "pocketsphinx is not installed, so there is no demo recogniser: pip install pocketsphinx, "
                "or use a real endpoint: --url"
            ),
        ),
    ],
    ids=["uv", "pipx", "another environment", "a Python that has it"],
)
def test_line(version: tuple[int, int], prefix: str, line: str) -> None:
    """The problem, and the command that mends it."""
    assert ": ".join(missing_recognizer(version, prefix)) == line
