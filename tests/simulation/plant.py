"""How a fault is planted."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

PLANTED: dict[str, Callable[[], None]] = {}
"""Functions that plant a fault into this process, for good."""


def plant(call: Callable[[], None]) -> Callable[[], None]:
    """Add a fault under its name."""
    PLANTED[call.__name__.strip("_").replace("_", "-")] = call
    return call


def replace(module: str, path: str, make: Callable[[Any], Any]) -> None:
    """Replace a function, a method or a property: ``make`` gets the old one."""
    owner: Any = import_module(f"rt_cli.{module}")
    *parts, name = path.split(".")
    for part in parts:
        owner = getattr(owner, part)
    setattr(owner, name, make(owner.__dict__[name] if parts else getattr(owner, name)))
