"""Shell completion of commands, options and values: in a real bash, and by the protocols of zsh and fish."""

from __future__ import annotations

import os
import select
import shutil
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from rt_cli.cli.completion import harmless
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
        (("send", "--dialect", "az"), ["azure", "azure-voicelive"]),
        (("serve", "--recognizer", "no"), ["none"]),
        (("help", "rec"), ["recipes", "recovery"]),
        (("help", "do"), ["doctor"]),
        (("serve", "--recognizer", ""), ["auto", "pocketsphinx", "none", "script:", "http:", "sherpa:", "whisper:"]),
        (("serve", "--reply", "e"), ["echo"]),
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


@pytest.mark.parametrize(
    "name",
    [*"$`\\\"';&|<>!\n\x1b\x7f\x85\x00", "$(touch x)", "`touch x`", "a;touch x", "it's", 'a "b"', "a\\b", "a|b", "a&b"],
    ids=ascii,
)
def test_what_a_shell_acts_on_is_not_offered(name: str) -> None:
    """In no name, at no place; a description loses it."""
    around = [(name, ""), (f"a{name}", ""), (f"{name}a", ""), ("plain", f"d{name}e")]
    assert [offer for offer, _ in harmless(around)] == ["plain"]
    assert set("$`\\\"';&|<>!\n\x1b\x7f\x85\x00") & set(harmless(around)[0][1]) == set()


def test_ordinary_names_are_offered() -> None:
    """Letters of all languages, spaces, brackets."""
    items = [
        ("USB Audio (hw:1,0)", "ALSA"),
        ("Mikrofon für Größe", "x"),
        ("work-2.b", "https://h.test/?a=b"),
        ("耳机 [2]", ""),
    ]
    assert harmless(items) == items


EVIL = """
[profiles."wo$(touch MARK)rk"]
url = "https://a.test"
[profiles."wo`touch MARK`"]
url = "https://a.test"
[profiles."wo;touch MARK;"]
[profiles.'wo\\$(touch MARK)']
[profiles."wo'$(touch MARK)'"]
[profiles."wo'touch MARK'"]
[profiles.worker]
url = "https://h.test/?x=$(touch MARK)&y=`touch MARK`\\";touch MARK"
[profiles.workshop]
url = "https://shop.test"
"""
SOUNDDEVICE = """
class PortAudioError(Exception):
    pass
class default:
    device = (0, -1)
def query_hostapis():
    return [{"name": "ALSA$(touch MARK)"}]
def query_devices():
    names = ["wo$(touch MARK)rk", "wo`touch MARK`", "wo';touch MARK;'", "worker mic", "workshop mic"]
    names += ["wo\\\\$(touch MARK)", "wo'$(touch MARK)'"]
    return [
        {"index": at, "name": name, "hostapi": 0, "max_input_channels": 1, "default_samplerate": 48000.0}
        for at, name in enumerate(names)
    ]
def _terminate():
    pass
def _initialize():
    pass
"""


def type_in(command: list[str], env: dict[str, str], steps: list[tuple[str, str]], folder: Path) -> str:
    """Run an interactive shell in a terminal of its own: type each text, and wait for what follows it."""
    import pty  # not on Windows

    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execvpe(command[0], command, {**env, "TERM": "xterm", "COLUMNS": "200"})  # noqa: S606
    seen = ""
    try:
        for text, follows in steps:
            os.write(terminal, text.encode())
            began, at = time.monotonic(), len(seen)
            while follows not in seen[at:]:
                assert time.monotonic() - began < DEADLINE_S, seen
                if select.select([terminal], [], [], 0.2)[0]:
                    seen += os.read(terminal, 65_536).decode(errors="replace")
    finally:
        os.kill(pid, 9)
        os.close(terminal)
        os.waitpid(pid, 0)
    return seen


SHELLS = {
    "bash": (
        ["bash", "--norc", "--noprofile", "-i"],
        "bind 'set bell-style none'; bind 'set show-all-if-ambiguous on'; eval \"$(rt --show-completion)\"",
    ),
    "zsh": (["zsh", "-f", "-i"], 'autoload -Uz compinit; compinit -u; eval "$(_RT_COMPLETE=source_zsh rt)"'),
    "fish": (["fish", "--no-config", "-i"], "env _RT_COMPLETE=source_fish rt | source"),
}


@pytest.mark.skipif(sys.platform == "win32", reason="shells of other systems")
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("words", ["send -p wo", "stream --device wo"])
def test_names_run_nothing_in_a_real_shell(machine: dict[str, str], shell: str, words: str, tmp_path: Path) -> None:
    """TAB offers the harmless names, and runs no command that a name, a host API or a URL contains."""
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    mark = tmp_path / "mark"
    (tmp_path / "config.toml").write_text(EVIL.replace("MARK", str(mark)))
    fakes = tmp_path / "fakes"
    fakes.mkdir()
    (fakes / "sounddevice.py").write_text(SOUNDDEVICE.replace("MARK", str(mark)))
    env = {**machine, "PYTHONPATH": f"{fakes}{os.pathsep}{ROOT}", "SHELL": shutil.which(shell) or ""}
    command, setup = SHELLS[shell]
    ready = f"{setup}; echo re''ady\r"
    seen = type_in(command, env, [(ready, "ready\r\n"), (f"rt {words}\t\t", "workshop")], tmp_path)
    assert "worker" in seen[seen.rindex("ready") :]
    assert not mark.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="shells of other systems")
@pytest.mark.parametrize("protocol", ["complete_zsh", "complete_fish"])
def test_descriptions_keep_their_brackets(machine: dict[str, str], protocol: str) -> None:
    """Defaults stand in brackets; they are no markup."""
    asked = {"_TYPER_COMPLETE_ARGS": "rt send --format", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    assert "srt or vtt [text]." in ask(machine, _RT_COMPLETE=protocol, **asked)
