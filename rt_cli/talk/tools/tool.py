"""A tool: what the model is told of it, and what runs for a call of it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol

from rt_cli.errors import UsageError
from rt_cli.talk.tools.run_tool import ToolResult, run_tool
from rt_cli.talk.tools.schema import SchemaError, check_schema, check_value

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

MAX_ARGUMENTS_CHARS = 64 * 1024
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")

Confirm = Literal["never", "always"]


class CallRefused(Exception):
    """A call that is not run; the message is for the model."""


@dataclass(frozen=True, slots=True)
class CheckedCall:
    """A call that its tool allows."""

    shown: Sequence[str]
    """Program and arguments, or the like, for the user who is asked."""
    confirm: bool
    """Whether the user is asked."""
    run: Callable[[float], Coroutine[Any, Any, ToolResult]]
    """Runs it, for at most so many seconds."""


class CallableTool(Protocol):
    """What the endpoint may call."""

    @property
    def name(self) -> str:
        """Its name for the model."""
        ...

    @property
    def timeout_s(self) -> float | None:
        """Longest run, seconds; None for the usual one."""
        ...

    @property
    def declaration(self) -> dict[str, object]:
        """The tool as the session object has it."""
        ...

    def check(self, text: str) -> CheckedCall:
        """Check a call.

        Args:
            text: The arguments: JSON of the model.

        Raises:
            CallRefused: The schema, or the command, does not allow them.
        """
        ...


@dataclass(frozen=True, slots=True)
class Tool:
    """A program that the endpoint may call.

    Raises:
        UsageError: The name, the command or the schema is not valid.
    """

    name: str
    command: tuple[str, ...]
    """Program and arguments; ``{name}`` stands for an argument of the call."""
    parameters: Mapping[str, Any]
    """JSON Schema of the arguments: an object."""
    description: str = ""
    timeout_s: float | None = None
    """None for the usual one."""
    confirm: Confirm = "never"
    """Whether the user is asked before each run."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UsageError(f"tool name {self.name!r}", "use letters, digits, _ and -, at most 64")
        if not self.command:
            raise UsageError(f"the tool {self.name} has no command", "give it a program")
        if _PLACEHOLDER.search(self.command[0]):
            raise UsageError(f"the tool {self.name} lets the model choose the program", "name the program")
        try:
            check_schema(self.parameters)
        except SchemaError as exc:
            raise UsageError(f"the parameters of the tool {self.name}: {exc}") from None
        if self.parameters.get("type") != "object":
            raise UsageError(f"the parameters of the tool {self.name} are no object", 'use {"type": "object"}')
        known = self.parameters.get("properties", {})
        for name in placeholders(self.command):
            if name not in known:
                raise UsageError(f"the tool {self.name} has no parameter {name}", "name it in its properties")

    @property
    def declaration(self) -> dict[str, object]:
        """The tool as the session object has it."""
        about = {"description": self.description} if self.description else {}
        return {"type": "function", "name": self.name, **about, "parameters": dict(self.parameters)}

    def arguments(self, text: str) -> dict[str, Any]:
        """Return the arguments of a call, checked.

        Args:
            text: JSON of the model.

        Raises:
            CallRefused: They are not what the schema says.
        """
        arguments = decoded(text)
        try:
            check_value(self.parameters, arguments, "arguments")
        except SchemaError as exc:
            raise CallRefused(str(exc)) from None
        return dict(arguments)

    def check(self, text: str) -> CheckedCall:
        """Check a call, as :meth:`CallableTool.check`."""
        arguments = self.arguments(text)
        argv = self.argv(arguments)
        return CheckedCall(argv, self.confirm == "always", partial(run_tool, argv, arguments))

    def argv(self, arguments: Mapping[str, Any]) -> list[str]:
        """Return program and arguments of a call. No shell reads them.

        Raises:
            CallRefused: A value would be taken as an option, or cannot be an argument.
        """
        words: list[str] = []
        for word in self.command:
            whole = _PLACEHOLDER.fullmatch(word)
            filled = _PLACEHOLDER.sub(lambda found: _text(arguments.get(found[1])), word)
            if whole is not None and filled.startswith("-") and "--" not in words:
                raise CallRefused(f"{whole[1]} must not begin with -")
            if _begins_with_placeholder(word) and whole is None and filled.startswith("-") and "--" not in words:
                raise CallRefused("an argument must not begin with -")
            if "\0" in filled:
                raise CallRefused("an argument holds a NUL")
            words.append(filled)
        return words


def decoded(text: str) -> Any:
    """Return the arguments of a call, decoded.

    Args:
        text: JSON of the model; empty for no arguments.

    Raises:
        CallRefused: It is no JSON, or too long.
    """
    if len(text) > MAX_ARGUMENTS_CHARS:
        raise CallRefused(f"the arguments are longer than {MAX_ARGUMENTS_CHARS} characters")
    try:
        return json.loads(text or "{}")
    except (ValueError, RecursionError):
        raise CallRefused("the arguments are not JSON") from None


def placeholders(command: Sequence[str]) -> list[str]:
    """Return the names in braces, each once, in order."""
    return list(dict.fromkeys(name for word in command for name in _PLACEHOLDER.findall(word)))


def _begins_with_placeholder(word: str) -> bool:
    return _PLACEHOLDER.match(word) is not None


def _text(value: object) -> str:
    match value:
        case str():
            return value
        case None:
            return ""
        case _:
            return json.dumps(value, ensure_ascii=False)
