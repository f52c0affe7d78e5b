"""The reference of the NDJSON events: what the encoder writes for each event class, and how the class describes it."""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import re
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from rt_cli import events
from rt_cli.contract import ContractEvent
from rt_cli.output.results.ndjson import to_json

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIRST_VERSION = "0.1"
_UNITS = {"_ms": "ms", "_hz": "Hz"}
_SAMPLES = {"ledger": "samples"}
"""Objects whose fields have a common unit that their names do not say."""


def event_reference() -> str:
    """Return Markdown: a section per event type, with name, type, unit, first version and meaning of each field."""
    return "\n\n".join(map(section_of, event_classes()))


def event_classes() -> list[Any]:
    """Return the classes of NDJSON lines."""
    return [event for event in get_args(events.Event) if issubclass(event, ContractEvent)]


def section_of(event: Any) -> str:
    """Return the section of one event class."""
    full, least = (json.loads(to_json(_sample(event, complete=complete))) for complete in (True, False))
    rows = [
        f"| `{name}` | {kind} | {unit} | {since} | {meaning} |"
        for name, kind, unit, since, meaning in _rows(event, full, least)
        if name != "type"
    ]
    about = _plain(re.split(r"\. |\.$|; ", inspect.cleandoc(event.__doc__))[0]).rstrip(".")
    return "\n".join(
        [f"## {full['type']}", "", f"{about}.", "", "| field | type | unit | since | |", "|---|---|---|---|---|", *rows]
    )


def _rows(
    owner: Any, full: dict[str, Any], least: dict[str, Any] | None, prefix: str = "", unit: str = ""
) -> Iterator[tuple[str, str, str, str, str]]:
    hints = get_type_hints(owner, include_extras=True)
    meanings = _docstrings(owner)
    for name, value in full.items():
        hint = hints.get(name)
        presence = ""
        if least is not None:
            presence = ", may be absent" if name not in least else " or null" if least[name] is None else ""
        own_unit = next((unit for suffix, unit in _UNITS.items() if name.endswith(suffix)), _SAMPLES.get(name, unit))
        struct = _struct_in(hint)
        inner = struct is not None
        since = _since(hint, owner)
        yield (
            f"{prefix}{name}",
            _kind(hint, value) + presence,
            "" if inner or not isinstance(value, (int, float)) or isinstance(value, bool) else own_unit,
            since,
            meanings.get(name, ""),
        )
        if inner:
            yield from _rows(struct, value, None, f"{prefix}{name}.", own_unit)


def _kind(hint: Any, value: Any) -> str:
    choices = [choice for part in _parts(hint) if get_origin(part) is Literal for choice in get_args(part)]
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    names = {bool: "boolean", int: "integer", float: "number", str: "string", dict: "object"}
    return names[type(value)]


def _since(hint: Any, owner: Any) -> str:
    """Return the version that brought a field: ``Meta(extra={"since": ...})`` in its type, else that of its class."""
    metas = [meta for meta in getattr(hint, "__metadata__", ()) if isinstance(meta, msgspec.Meta)]
    return next((meta.extra["since"] for meta in metas if meta.extra), getattr(owner, "since", _FIRST_VERSION))


def _sample(cls: Any, *, complete: bool) -> Any:
    """Build an event: with every field, or with defaults, and null where that is possible."""
    hints = get_type_hints(cls)
    values = {}
    for field in msgspec.structs.fields(cls):
        nullable = NoneType in _parts(hints[field.name])
        if complete or (field.required and not nullable):
            values[field.name] = _value(hints[field.name], complete=complete)
        elif field.required:
            values[field.name] = None
    return cls(**values)


def _value(hint: Any, *, complete: bool) -> Any:
    for part in _parts(hint):
        if get_origin(part) is Literal:
            return get_args(part)[0]
        if isinstance(part, type) and issubclass(part, msgspec.Struct):
            return _sample(part, complete=complete)
        if get_origin(part) is dict:
            return {"type": "text"}
        if part in {bool, int, float, str}:
            return {bool: True, int: 1, float: 0.5, str: "text"}[part]
    raise TypeError(f"no sample of {hint}")


def _struct_in(hint: Any) -> Any:
    return next((part for part in _parts(hint) if isinstance(part, type) and issubclass(part, msgspec.Struct)), None)


def _parts(hint: Any) -> tuple[Any, ...]:
    """Return the members of a union, without annotations; of any other type the type alone."""
    if hasattr(hint, "__metadata__"):
        hint = hint.__origin__
    return (hint,) if get_origin(hint) in {Literal, dict} or not get_args(hint) else get_args(hint)


def _docstrings(cls: Any) -> dict[str, str]:
    """Return the strings behind the fields of a class, those of its bases included."""
    found = {}
    bases = [base for base in cls.__mro__ if issubclass(base, msgspec.Struct) and base is not msgspec.Struct]
    trees = [ast.parse(inspect.getsource(base)) for base in reversed(bases)]
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    for field, text in itertools.chain.from_iterable(itertools.pairwise(node.body) for node in classes):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            name, string = field.target, text.value.value
            if isinstance(name, ast.Name) and isinstance(string, str):
                found[name.id] = _plain(string)
    return found


def _plain(docstring: str) -> str:
    text = re.sub(r":\w+:`+([^`]+)`+", r"`\1`", docstring).replace("``", "`")
    text = re.sub(r"\bNone\b", "null", text)
    return " ".join(text.split()).replace("|", r"\|")
