"""What a missing demo recogniser says: what to do, by Python and by what rt was installed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from rt_cli.server.recognition.reinstall import missing_recognizer
from tests.program import DATA, ended, rt, start

if TYPE_CHECKING:
    from pathlib import Path


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


def test_run_doctor_and_serve_say_it(tmp_path: Path) -> None:
    """Each the same line: as an error, as a fix, as a warning."""
    (tmp_path / "sitecustomize.py").write_text(
        "from importlib.machinery import PathFinder\n"
        "find = PathFinder.find_spec\n"
        "PathFinder.find_spec = lambda name, *more: None if name == 'pocketsphinx' else find(name, *more)\n"
    )
    env = {"PYTHONPATH": str(tmp_path)}
    problem, fix = missing_recognizer(sys.version_info[:2], sys.prefix)

    ran = rt("send", "--local", str(DATA / "sense_0930.wav"), env=env)
    assert (ran.exit, ran.causes) == (6, [f"rt: {problem}: {fix}"])
    findings = rt("doctor", "--local", "--no-mic", "--json", env=env).of("finding")
    (failed,) = (finding for finding in findings if finding["status"] == "fail")
    assert (failed["detail"], failed["fix"]) == (problem, fix)
    with start("serve", "--port", "0", env=env) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        server.stdout.readline()
        warning = server.stderr.readline().decode()
        server.terminate()
        ended(server)
    assert warning == f"warning: {problem}: {fix}\n"
