"""An error of the command line parser in one line: what is wrong, and what to type."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rt_cli.cli.synonyms import OF_COMMAND, OPTIONS, SUBCOMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_FURTHEST = 2
_COMMAND = re.compile(r"No such command '(.*?)'")


def explain(error: Any, arguments: Sequence[str]) -> str:
    """Return the line for an error of the parser.

    Args:
        error: The exception.
        arguments: What was parsed.
    """
    context = getattr(error, "ctx", None)
    command = context.command_path if context else " ".join(("rt", *arguments[:1]))
    if (option := getattr(error, "option_name", None)) and type(error).__name__ == "NoSuchOption":
        return f"no option {option}: {advice(command, option, _options(context))}"
    message = error.format_message().removesuffix(".")
    if (found := _COMMAND.match(message)) and (instead := SUBCOMMANDS.get(command, {}).get(found[1])):
        return f"no command {found[1]}: did you mean {instead}?"
    return message if message.endswith("?") else f"{message}: see {command} --help"


def advice(command: str, option: str, known: Iterable[str]) -> str:
    """Return what to type in place of an option that a command does not have.

    Args:
        command: With its program, as ``rt send``.
        option: As typed, without a value.
        known: The options of the command.
    """
    instead = OF_COMMAND.get(command, {}).get(option) or OPTIONS.get(option)
    if instead is None:
        closest = closest_of(option, known)
        return f"did you mean {closest}?" if closest else f"see {command} --help"
    return instead if instead.startswith("no ") else f"did you mean {instead}?"


def closest_of(option: str, known: Iterable[str]) -> str | None:
    """Return the option that differs by one or two letters; None if none does, or if several do."""
    distances = {name: distance(option, name) for name in known if name.startswith("--")}
    least = min(distances.values(), default=_FURTHEST + 1)
    nearest = [name for name, far in distances.items() if far == least]
    return nearest[0] if least <= _FURTHEST and len(nearest) == 1 else None


def distance(first: str, second: str) -> int:
    """Return how many letters must be added, removed or replaced to make one text of another."""
    row = list(range(len(second) + 1))
    for at, letter in enumerate(first, 1):
        before, row[0] = row[0], at
        for column, other in enumerate(second, 1):
            before, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, before + (letter != other))
    return row[-1]


def _options(context: Any) -> list[str]:
    return [name for param in context.command.params if not param.hidden for name in param.opts] if context else []
