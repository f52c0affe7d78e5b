"""Masks the secrets of the run in events: an endpoint may repeat them in any field. Pure but for the secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from msgspec.structs import fields, replace

from rt_cli.masking import without_secrets
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from msgspec import Struct

    from rt_cli.events import Event

_OWN = frozenset({"source", "name", "device", "kind"})
"""Fields that no endpoint fills."""
_texts: dict[type, tuple[str, ...]] = {}
"""Names of the fields to mask, by class."""

E = TypeVar("E", bound="Event")


def mask_event(event: E) -> E:
    """Return the event with the secrets of the run masked; the same object if it has none."""
    changes = {}
    for name in _texts.get(type(event)) or _text_fields(event):
        text = getattr(event, name)
        if isinstance(text, str | dict) and (safe := mask(text)) != text:
            changes[name] = safe
    return replace(event, **changes) if changes else event


def mask(value: Any) -> Any:
    """Mask the secrets in a text, or in all texts of JSON data."""
    match value:
        case str():
            return _mask(value)
        case dict():
            return {_mask(name): mask(inner) for name, inner in value.items()}
        case list():
            return [mask(inner) for inner in value]
    return value


def _mask(text: str) -> str:
    safe = without_secrets(text)
    if text.isprintable():
        return safe
    # Control characters within a key would vanish on the way to a terminal.
    shown = printable(text)
    return safe if (masked := without_secrets(shown)) == shown else masked


def _text_fields(event: Struct) -> tuple[str, ...]:
    names = tuple(field.name for field in fields(event) if field.name not in _OWN)
    return _texts.setdefault(type(event), names)
