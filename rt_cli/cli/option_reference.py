"""The reference of the options: what the commands' own help says of each, in one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typer._click import Context


def option_reference(root: Context) -> str:
    """Return a Markdown table of all options: names and value, meaning, commands that take it.

    Args:
        root: The context of ``rt`` itself.
    """
    commands: dict[tuple[str, str], list[str]] = {}
    everywhere = 0
    for context in contexts(root):
        everywhere += 1
        for param in context.command.get_params(context):
            record = param.get_help_record(context) if param.param_type_name == "option" else None
            if record is not None:
                commands.setdefault(record, []).append(context.command_path.removeprefix("rt ") or "rt")
    rows = [
        f"| `{names}` | {_escaped(text)} | {'all' if len(takers) == everywhere else ', '.join(takers)} |"
        for (names, text), takers in commands.items()
    ]
    return "\n".join(["| option | | commands |", "|---|---|---|", *rows])


def contexts(parent: Context) -> Iterator[Context]:
    """Yield a context and those of all commands below it."""
    yield parent
    for name, command in getattr(parent.command, "commands", {}).items():
        yield from contexts(type(parent)(command, parent=parent, info_name=name))


def _escaped(text: str) -> str:
    return text.replace("|", r"\|").replace("*", r"\*").replace("{", "`{").replace("}", "}`")
