"""Tests reach no private names of the program; ruff's SLF001 finds attributes, this finds the other ways."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent


def reached(source: str) -> list[str]:
    """Return the private names that a module imports, or replaces by their text; those of os are Python's."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rt_cli"):
            found += [each.name for each in node.names if _is_private(each.name)]
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "setattr":
            owner, *names = node.args[:2]
            if not ast.unparse(owner).endswith("os"):
                texts = [each.value for each in (owner, *names) if isinstance(each, ast.Constant)]
                found += [text for text in map(str, texts) if _is_private(text.rpartition(".")[2])]
    return found


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("from rt_cli.a import _b, c", ["_b"]),
        ("patch.setattr(module, '_b', 1)", ["_b"]),
        ("patch.setattr('rt_cli.a._b', 1)", ["rt_cli.a._b"]),
        ("setattr(x, '_b', 1)", ["_b"]),
        ("from tests.a import _b; from rt_cli import __version__; patch.setattr(module.os, '_exit', 1)", []),
    ],
)
def test_each_way_is_found(source: str, names: list[str]) -> None:
    """Imports, and both forms of a replaced attribute."""
    assert reached(source) == names


def test_no_test_reaches_a_private_name() -> None:
    """In any file below tests."""
    assert {
        str(path.relative_to(TESTS)): names
        for path in TESTS.rglob("*.py")
        if (names := reached(path.read_text(encoding="utf-8")))
    } == {}
