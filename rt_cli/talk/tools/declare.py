"""``--tool`` and ``--tools``: texts to tools."""

from __future__ import annotations

import json
import shlex
from shutil import which
from typing import TYPE_CHECKING, Any

import msgspec

from rt_cli.errors import UsageError
from rt_cli.talk.tools.tool import Confirm, Tool, placeholders

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_LARGEST_FILE = 1024 * 1024
_EXAMPLE = "--tool 'weather=./weather.sh {city}'"


class _Declared(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    command: list[str]
    parameters: dict[str, Any] = {}
    description: str = ""
    timeout: float | None = None
    confirm: Confirm = "never"


def parse_tool(text: str) -> Tool:
    """Parse ``NAME=COMMAND {argument}``: the names in braces are the parameters, all of them texts.

    Raises:
        UsageError: It is not of this form.
    """
    name, equals, command = text.partition("=")
    if not equals:
        raise UsageError(f"--tool {text!r} has no =", f"write {_EXAMPLE}")
    try:
        words = shlex.split(command)
    except ValueError as exc:
        raise UsageError(f"--tool {name}: {str(exc).lower()}", f"write {_EXAMPLE}") from None
    names = placeholders(words)
    parameters = {
        "type": "object",
        "properties": {each: {"type": "string"} for each in names},
        "required": names,
        "additionalProperties": False,
    }
    return Tool(name.strip(), tuple(words), parameters)


def read_tools(path: Path) -> list[Tool]:
    """Read a JSON file: a list of tools with name, description, parameters (JSON Schema), command, timeout, confirm.

    Raises:
        UsageError: The file cannot be read, or is not such a list.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except OSError as exc:
        raise UsageError(f"--tools {path}: {exc.strerror}") from exc
    if len(content) > _LARGEST_FILE:
        raise UsageError(f"--tools {path} is larger than 1 MiB")
    try:
        declared = msgspec.json.decode(content, type=list[_Declared])
    except msgspec.MsgspecError as exc:
        raise UsageError(f"--tools {path}: {exc}", "see rt help talk") from None
    return [_tool(each, path) for each in declared]


def _tool(declared: _Declared, path: Path) -> Tool:
    if declared.timeout is not None and declared.timeout <= 0:
        raise UsageError(f"--tools {path}: the timeout of {declared.name} is not positive")
    parameters = declared.parameters or {"type": "object", "properties": {}}
    return Tool(
        declared.name,
        tuple(declared.command),
        json.loads(json.dumps(parameters)),
        declared.description,
        declared.timeout,
        declared.confirm,
    )


def declare(texts: Iterable[str], files: Iterable[Path]) -> tuple[Tool, ...]:
    """Return the tools of both options.

    Raises:
        UsageError: One is not valid, its program is not there, or two have one name.
    """
    tools = [parse_tool(text) for text in texts] + [tool for path in files for tool in read_tools(path)]
    names = [tool.name for tool in tools]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two tools are named {name}", "give them different names")
    for tool in tools:
        if which(tool.command[0]) is None:
            raise UsageError(f"the tool {tool.name}: {tool.command[0]} is no program here", "name one that can be run")
    return tuple(tools)
