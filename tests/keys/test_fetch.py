"""Keys from variables, files and commands: real files, real processes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from rt_cli.errors import RefusedError, UsageError
from rt_cli.keys import fetch as keys
from rt_cli.keys.fetch import find_key, read_key
from rt_cli.protocol.endpoint.key_source import KeyCommand, KeyFile, KeyVariable
from rt_cli.settings import EndpointSettings

if TYPE_CHECKING:
    from pathlib import Path


def command(code: str) -> KeyCommand:
    """Return a command line that runs Python code."""
    return KeyCommand(f'"{sys.executable}" -c "{code}"')


def test_a_key_comes_from_a_variable() -> None:
    """White space around the key is removed."""
    assert read_key(KeyVariable("K"), {"K": " abc\n"}) == "abc"


def test_a_key_comes_from_a_file(tmp_path: Path) -> None:
    """The line end is removed."""
    (tmp_path / "key").write_bytes(b"abc\r\n")

    assert read_key(KeyFile(str(tmp_path / "key")), {}) == "abc"


def test_a_tilde_in_the_name_of_the_file_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``~`` is expanded by ``rt``: a config file has no shell."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "key").write_text("abc")

    assert read_key(KeyFile("~/key"), {}) == "abc"


def test_a_key_comes_from_a_command() -> None:
    """The key is the output of the command."""
    assert read_key(command("print('abc')"), {}) == "abc"


def test_a_key_command_has_no_stdin_of_ours() -> None:
    """The command does not inherit stdin, which may be the sound."""
    assert read_key(command("import sys; print(len(sys.stdin.read()))"), {}) == "0"


@pytest.mark.parametrize("content", [b"", b"\n", b"a\nb\n", b"\xff\xfe", b"k\x00"], ids=repr)
def test_a_file_that_holds_no_key_is_a_usage_error(tmp_path: Path, content: bytes) -> None:
    """The message names the file and does not contain its content."""
    (tmp_path / "secrets").write_bytes(content)

    with pytest.raises(UsageError, match="secrets"):
        read_key(KeyFile(str(tmp_path / "secrets")), {})


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    """A missing file, a folder and an invalid path are errors."""
    for path in (str(tmp_path / "missing"), str(tmp_path), "nul\0", "~nobody-of-this-name/key"):
        with pytest.raises(UsageError, match="cannot read the key file"):
            read_key(KeyFile(path), {})


def test_a_command_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that exceeds the deadline is ended."""
    monkeypatch.setattr(keys, "COMMAND_DEADLINE_S", 0.2)

    with pytest.raises(UsageError, match="took more than"):
        read_key(command("import time; time.sleep(60)"), {})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (command("raise SystemExit(3)"), "failed with status 3"),
        (command("pass"), "is empty"),
        (command("print('a'); print('b')"), "characters that no key has"),
        (KeyCommand("no-such-program-anywhere"), "cannot run"),
        (KeyCommand("unbalanced 'quote"), "cannot run"),
        (KeyCommand(" "), "cannot run"),
    ],
    ids=["fails", "silent", "chatty", "missing", "quotes", "blank"],
)
def test_a_command_that_gives_no_key_is_a_usage_error(source: KeyCommand, expected: str) -> None:
    """The message says why the command gives no key."""
    with pytest.raises(UsageError, match=expected):
        read_key(source, {})


def test_the_key_for_a_url_is_found(tmp_path: Path) -> None:
    """The key source is chosen and read."""
    (tmp_path / "key").write_text("abc\n")
    settings = EndpointSettings(url="https://host", api_key_file=str(tmp_path / "key"))

    assert find_key(settings, "https://host", {}) == "abc"


def test_a_url_that_needs_no_key_gets_none() -> None:
    """Other configured keys are not used."""
    environ = {"OPENAI_API_KEY": "k", "AZURE_OPENAI_API_KEY": "k"}

    assert find_key(EndpointSettings(url="ws://localhost:1"), "ws://localhost:1", environ) is None


def test_a_provider_without_a_key_is_refused_before_connecting() -> None:
    """Exit code 4, and the hint names the variable."""
    with pytest.raises(RefusedError, match="OPENAI_API_KEY"):
        find_key(EndpointSettings(url="https://api.openai.com"), "https://api.openai.com", {})
