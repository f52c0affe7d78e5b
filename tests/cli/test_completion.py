"""Shell completion of commands, options and values: in a real bash, and by the protocols of zsh and fish."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.program import ROOT

if TYPE_CHECKING:
    from pathlib import Path

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
DEADLINE_S = 60
CONFIG = """
[profiles.work]
url = "https://user:geheim@work.test"
[profiles.workshop]
url = "https://shop.test"
[profiles.lab]
"""


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """An environment with an ``rt`` command, its own home folder, and a config file."""
    program = tmp_path / "bin" / "rt"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rt_cli "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    config = tmp_path / "config.toml"
    config.write_text(CONFIG)
    return {
        **os.environ,
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "RT_CONFIG": str(config),
    }


def bash(machine: dict[str, str], script: str, *options: str) -> list[str]:
    """Run a bash script and return its output lines. Output on stderr is a failure."""
    command = ["bash", "--norc", *options, "-c", script]
    done = subprocess.run(
        command, env=machine, capture_output=True, text=True, timeout=DEADLINE_S, check=False, cwd=machine["HOME"]
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def press_tab(machine: dict[str, str], *words: str) -> list[str]:
    """Return bash's completions of the last word, with the completion script of ``rt``."""
    line = " ".join(f"'{word}'" for word in ("rt", *words))
    script = f"""
        eval "$(rt --show-completion)"
        complete -p rt >/dev/null
        COMP_WORDS=({line}); COMP_CWORD={len(words)}
        _rt_completion rt
        for offer in "${{COMPREPLY[@]}}"; do echo "$offer"; done
    """
    return bash(machine, script)


@needs_bash
@pytest.mark.parametrize(
    ("words", "completions"),
    [
        (("de",), ["devices"]),
        (("send", "--client-"), ["--client-cert", "--client-key"]),
        (("send", "--profile", "work"), ["work", "workshop"]),
        (("stream", "-p", "l"), ["lab"]),
        (("send", "--output", ""), ["text", "json", "srt", "vtt"]),
        (("send", "--turn-detection", "s"), ["server_vad", "semantic_vad"]),
        (("send", "--dialect", "az"), ["azure"]),
        (("serve", "--recognizer", "no"), ["none"]),
        (("send", "--config", "/nowhere.toml", "--profile", ""), []),
    ],
    ids=" ".join,
)
def test_bash_completes(machine: dict[str, str], words: tuple[str, ...], completions: list[str]) -> None:
    """Commands, options, profiles and choices are completed. Without a match there is no output."""
    assert press_tab(machine, *words) == completions


@needs_bash
def test_completion_is_installed(machine: dict[str, str]) -> None:
    """``--install-completion`` writes the user's shell files, and a new shell uses them."""
    bash(machine, "rt --install-completion; true")

    assert bash(machine, "source ~/.bashrc; complete -p rt")[0].endswith(" rt")


def ask(machine: dict[str, str], **asked: str) -> str:
    """Return the answer of ``rt`` to the completion function of a shell."""
    command = [sys.executable, "-m", "rt_cli"]
    done = subprocess.run(
        command, env={**machine, **asked}, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="shells of other systems")
def test_zsh_script_and_completions(machine: dict[str, str]) -> None:
    """Zsh gets each completion with its description, without passwords."""
    assert "#compdef rt" in ask(machine, _RT_COMPLETE="source_zsh")

    completions = ask(machine, _RT_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS="rt send --profile work")

    assert '"work":"https' in completions
    assert '"workshop":"https' in completions
    assert "geheim" not in completions


@pytest.mark.skipif(sys.platform == "win32", reason="shells of other systems")
def test_fish_script_and_completions(machine: dict[str, str]) -> None:
    """Fish gets one line per completion, with a tab before the description."""
    assert "complete --command rt" in ask(machine, _RT_COMPLETE="source_fish")

    asked = {"_TYPER_COMPLETE_ARGS": "rt send --profile work", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    completions = ask(machine, _RT_COMPLETE="complete_fish", **asked).splitlines()

    assert [line.split("\t")[0] for line in completions] == ["work", "workshop"]
    assert "geheim" not in "".join(completions)
