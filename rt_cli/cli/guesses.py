"""What people type and what it means: arguments to arguments, or a hint. Pure: the facts are passed in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING

from rt_cli.cli.synonyms import COMMANDS
from rt_cli.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

_GROUPS = {"config"}
"""Commands with commands of their own: options go behind the second word."""
_COMPLETION = ("--install-completion", "--show-completion")
_ROOT_OPTIONS = {"-h", "--help", "-V", "--version", *_COMPLETION}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
"""At least two letters: a drive of Windows has one."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the meaning of the arguments depends on."""

    commands: Collection[str]
    exists: Callable[[str], bool]
    """Whether a file or folder has this name."""
    piped: bool
    """Whether stdin is a pipe or a regular file."""
    options: Callable[[str], Mapping[str, bool]]
    """The options of a command, each with whether it takes a value."""


def understand(arguments: Sequence[str], facts: Facts) -> list[str]:
    """Return the arguments of the command that is meant.

    Args:
        arguments: As typed, without the name of the program.
        facts: About this machine and this program.

    Raises:
        UsageError: They are no command; the hint says what to type.
    """
    if not arguments:
        return ["send", "-"] if facts.piped else []
    if arguments[0] in _ROOT_OPTIONS:
        _check_completion(arguments)
        return list(arguments)
    _check_values(arguments, facts)
    _check_names(arguments, facts)
    leading, rest = _split(arguments, facts)
    if leading is None:
        return list(arguments)
    if rest and rest[0] in facts.commands:
        return _of_command(rest[0], leading, rest[1:], facts)
    _check_sound(leading, facts)
    if not rest or rest[0] in {"-", "--"} or facts.exists(rest[0]):
        return ["send", *leading, *rest]
    return _of_unknown(rest[0], leading, rest, facts)


def _check_completion(arguments: Sequence[str]) -> None:
    if arguments[0] in _COMPLETION and len(arguments) > 1:
        raise UsageError(
            f"{arguments[0]} is for the shell that runs it", f"for another one: rt completion {arguments[1]}"
        )


def _check_values(arguments: Sequence[str], facts: Facts) -> None:
    """Refuse values behind flags, which would be read as files."""
    for name, following in zip(arguments, (*arguments[1:], ""), strict=True):
        if name.startswith("--mic="):
            raise UsageError("--mic takes no name", f"rt stream --device {name.removeprefix('--mic=')}")
        if name == "--timestamps" and following in {"word", "words"} and not facts.exists(following):
            raise UsageError("an endpoint gives no times of words, only of turns", "--timestamps alone shows those")


def _split(arguments: Sequence[str], facts: Facts) -> tuple[list[str] | None, list[str]]:
    """Split off the options before the first word; None if one of them is unknown."""
    if not arguments[0].startswith("-"):
        return [], list(arguments)
    known = {**facts.options("stream"), **facts.options("send")}
    at = 0
    while at < len(arguments) and arguments[at].startswith("-") and arguments[at] not in {"-", "--"}:
        name, _, value = arguments[at].partition("=")
        if not name.startswith("--") and name not in known:
            name, value = name[:2], name[2:]  # -j4, -qv
        if name not in known:
            return None, []
        at += 2 if known[name] and not value else 1
    return list(arguments[:at]), list(arguments[at:])


def _check_names(arguments: Sequence[str], facts: Facts) -> None:
    """Refuse files whose names begin as options do."""
    before = arguments[: arguments.index("--")] if "--" in arguments else arguments
    for name in before:
        if len(name) <= len("-x") or not name.startswith("-") or not facts.exists(name):
            continue
        if name not in {**facts.options("stream"), **facts.options("send")}:
            raise UsageError(f"{name} looks like an option", f"for the file: rt send {quote(f'./{name}')}")


def _check_sound(leading: Sequence[str], facts: Facts) -> None:
    """Refuse options that only a microphone has: without a command, files are meant."""
    only = [option for option in leading if option in facts.options("stream").keys() - facts.options("send").keys()]
    if only:
        raise UsageError(f"{only[0]} belongs to rt stream", f"rt stream {' '.join(leading)}")


def _of_command(command: str, leading: list[str], rest: list[str], facts: Facts) -> list[str]:
    behind = rest[:1] if command in _GROUPS and rest and not rest[0].startswith("-") else []
    rest = rest[len(behind) :]
    match command, rest:
        case name, ["help"] if name != "help" and not facts.exists("help"):
            rest = ["--help"]
        case "serve", [port, *more] if port.isascii() and port.isdigit():
            rest = ["--port", port, *more]
        case "devices", ["list" | "ls", *more]:
            rest = more
        case "login" | "logout", [name, *_] if not name.startswith("-"):
            raise UsageError(f"rt {command} takes no name", f"rt {command} --url URL, or rt {command} -p PROFILE")
        case "stream", words if "--mic" in words and (name := _word_behind("--mic", words)):
            raise UsageError("--mic takes no name", f"rt stream --device {name}")
    return [command, *behind, *leading, *rest]


def _word_behind(option: str, words: Sequence[str]) -> str:
    """The word behind an option, if it is no option itself; else empty."""
    behind = words[words.index(option) + 1 :][:1]
    return behind[0] if behind and not behind[0].startswith("-") else ""


def _of_unknown(word: str, leading: list[str], rest: list[str], facts: Facts) -> list[str]:
    """Return what a first word means that is neither a command nor a file."""
    scheme = found[1].lower() if (found := _SCHEME.match(word)) else ""
    if scheme in {"http", "https"}:
        return ["send", *leading, *rest]
    if scheme:
        from rt_cli.audio.decode.streamed.web import hint_for

        raise UsageError(f"no file {word}", hint_for(word))
    if word.lower() in COMMANDS:
        raise UsageError(f"no command {word}", f"did you mean {COMMANDS[word.lower()].format(rest=_files(rest))}?")
    if close := did_you_mean(word, facts.commands):
        raise UsageError(f"no command {word}", close.replace("mean ", "mean rt "))
    what = "no file" if {".", "/", "\\"} & set(word) else "no command and no file"
    raise UsageError(f"{what} {word}", "check the name; rt --help lists the commands")


def _files(rest: Sequence[str]) -> str:
    return " ".join(rest[1:]) or "FILE"
