"""The reference of the options: what the commands and the settings declare of each, in one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.cli.options import help_of
from rt_cli.config.example import description_of
from rt_cli.config.values import settings_keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typer._click import Context, Parameter

    from rt_cli.config.values import Key


def option_reference(root: Context) -> str:
    """Return a Markdown table of all options: names; meaning, values, default, key and variable; commands.

    Args:
        root: The context of ``rt`` itself.
    """
    commands: dict[tuple[str, str], list[str]] = {}
    everywhere = 0
    for context in contexts(root):
        everywhere += 1
        for param in context.command.get_params(context):
            if (row := _row(param, context)) is not None:
                commands.setdefault(row, []).append(context.command_path.removeprefix("rt ") or "rt")
    rows = [
        f"| `{names}` | {text} | {'all' if len(takers) == everywhere else ', '.join(takers)} |"
        for (names, text), takers in commands.items()
    ]
    return "\n".join(["| option | | commands |", "|---|---|---|", *rows])


def contexts(parent: Context) -> Iterator[Context]:
    """Yield a context and those of all commands below it."""
    yield parent
    for name, command in getattr(parent.command, "commands", {}).items():
        yield from contexts(type(parent)(command, parent=parent, info_name=name))


def _row(param: Parameter, context: Context) -> tuple[str, str] | None:
    """Return names and text; None for an argument and for what the help does not list."""
    record = param.get_help_record(context) if param.param_type_name == "option" else None
    if record is None:
        return None
    key = _key_of(param)
    if key is None:
        return record[0], _escaped(record[1])
    return record[0], " ".join(filter(None, (_escaped(description_of(key)), _default(key), _places(key))))


def _key_of(param: Parameter) -> Key | None:
    """Return the setting that an option was made from; options of rt serve have the names of some, and are its own."""
    key = settings_keys().get(param.name or "")
    return key if key is not None and key.declared.option and getattr(param, "help", None) == help_of(key) else None


def _default(key: Key) -> str:
    if key.default is None or key.kind is tuple:
        return ""  # the description says it
    return f"Default: {key.default:g}." if isinstance(key.default, float) else f"Default: {str(key.default).lower()}."


def _places(key: Key) -> str:
    """Return where a key can be set, beside the option."""
    if key.declared.only is not None:
        return ""
    variable = f", variable `{key.variable}`" if key.variable else ""
    return f"Key `{key.name}` in `[{key.table}]`{variable}."


def _escaped(text: str) -> str:
    return text.replace("|", r"\|").replace("*", r"\*").replace("{", "`{").replace("}", "}`")
