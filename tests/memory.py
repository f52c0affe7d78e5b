"""What an object keeps in memory, whatever it calls its parts."""

from __future__ import annotations

import gc
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, TypeVar

T = TypeVar("T")

_CODE = (type, ModuleType, FunctionType, CodeType, FrameType)
"""What leads from an object to the whole program."""


def held(owner: object) -> list[Any]:
    """Return everything that is reached from an object, itself included, without functions and classes."""
    found = {id(owner): owner}
    todo = [owner]
    while todo:
        new = [each for each in gc.get_referents(todo.pop()) if id(each) not in found and not isinstance(each, _CODE)]
        found |= {id(each): each for each in new}
        todo += new
    return list(found.values())


def part_of(owner: object, kind: type[T]) -> T:
    """Return the first object of a class that is reached from an object."""
    return next(each for each in held(owner) if isinstance(each, kind))


def held_count(owner: object, kind: type) -> int:
    """Return how many objects of a class are reached from an object."""
    return sum(isinstance(each, kind) for each in held(owner))


def held_bytes(owner: object) -> int:
    """Return the length of all bytes that are reached from an object."""
    return sum(len(each) for each in held(owner) if isinstance(each, (bytes, bytearray)))
