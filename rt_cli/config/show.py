"""``rt config``: print the effective values as TOML with origins or as NDJSON, and write the example file."""

from __future__ import annotations

import json as jsonlib
import math
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rt_cli.config.config_file import config_path
from rt_cli.config.example import example, toml_value
from rt_cli.config.layers import effective_values, loader_arguments
from rt_cli.config.values import settings_keys
from rt_cli.disk.outfile import cannot_write, open_raw, write_all
from rt_cli.errors import UsageError, did_you_mean
from rt_cli.protocol.sanitize import masked, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from rt_cli.config.layers import Layer
    from rt_cli.config.values import Key


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting to print: secrets are masked."""

    key: Key
    value: Any
    """A JSON value; the texts ``auto`` and ``max`` for None and infinity."""
    origin: str


def print_values(values: dict[str, Any], *, json: bool) -> int:
    """Print every value with its origin. Raises UsageError for values that a run would reject."""
    rows = setting_rows(effective_values(**loader_arguments(values)))
    for line in _ndjson(rows) if json else _toml(rows):
        print(line)  # noqa: T201 - the result
    return 0


def print_value(name: str, values: dict[str, Any]) -> int:
    """Print the value of one key: text as it is, anything else as JSON.

    Raises:
        UsageError: There is no such key; or as :func:`print_values`.
    """
    name = name.strip().lower().replace("-", "_").removeprefix("rt_")
    if name not in settings_keys():
        hint = did_you_mean(name, settings_keys()) or "rt config show lists the keys"
        raise UsageError(f"no key {printable(name)}", hint, code="config")
    rows = setting_rows(effective_values(**loader_arguments(values)))
    value = next(row.value for row in rows if row.key.name == name)
    print(printable(value) if isinstance(value, str) else jsonlib.dumps(value, ensure_ascii=False))  # noqa: T201
    return 0


def print_path(config: Path | None, *, json: bool) -> int:
    """Print the path of the config file, and whether the file exists."""
    path = config or config_path(os.environ)
    exists = path.is_file()
    if json:
        print(jsonlib.dumps({"type": "config", "path": str(path), "exists": exists}))  # noqa: T201 - the result
        return 0
    print(path)  # noqa: T201 - the result
    if not exists:
        print(f"{printable(str(path))} is not there: rt config init writes it", file=sys.stderr)  # noqa: T201
    return 0


def write_example(config: Path | None, *, force: bool) -> int:
    """Write the example to the config file, and print its path.

    Raises:
        UsageError: The file exists already, or cannot be written.
    """
    path = config or config_path(os.environ)
    create_example(path, replace=force)
    print(path)  # noqa: T201 - the result
    return 0


def create_example(path: Path, *, replace: bool) -> None:
    """Write the example, with the folders above it. Raises UsageError as :func:`write_example`."""
    content = example().encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as exc:
        raise cannot_write(path, exc, hint=None, code="config") from None
    try:
        with open_raw(path, replace=replace) as file:
            write_all(file.fileno(), content)
    except FileExistsError:
        raise UsageError(f"{printable(str(path))} is there already", "--force replaces it", code="config") from None
    except (OSError, ValueError) as exc:
        raise cannot_write(path, exc, hint=None, code="config") from None


def setting_rows(values: Layer) -> list[SettingRow]:
    """Return every setting in the order of the settings: effective values, else defaults."""
    rows = []
    for name, key in settings_keys().items():
        value, origin = values.get(name) or (key.default, "default")
        rows.append(SettingRow(key, _mask(key, value), origin))
    return rows


def _mask(key: Key, value: Any) -> Any:
    match value:
        case None:
            return "auto"
        case float() if math.isinf(value):
            return "max"
        case tuple() if key.name == "headers":
            return {name: "***" for name, _ in value}
        case tuple() if not key.is_table:
            return [masked(term) for term in value]
        case tuple():
            return {name: masked(inner) if isinstance(inner, str) else inner for name, inner in value}
        case str():
            return masked(value)
    return value


def _ndjson(rows: Iterable[SettingRow]) -> Iterator[str]:
    for row in rows:
        event = {"type": "setting", "table": row.key.table, "key": row.key.name}
        yield jsonlib.dumps(event | {"value": row.value, "origin": row.origin})


def _toml(rows: Iterable[SettingRow]) -> Iterator[str]:
    lines = [(row, f"{row.key.name} = {toml_value(row.value)}") for row in rows]
    width = min(40, max(len(line) for _, line in lines))
    table = ""
    for row, line in lines:
        if row.key.table != table:
            yield f"{'' if not table else chr(10)}[{row.key.table}]"
            table = row.key.table
        # Keys that are not allowed in a table are printed as comments, so that the output is a valid config file.
        yield f"{'' if row.key.declared.only is None else '# '}{line:<{width}}  # {printable(row.origin)}"
