"""Precedence of option, variable, profile, file and default, for every key."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import pytest

from rt_cli.config.layers import effective_values, load_settings
from rt_cli.config.values import settings_keys
from rt_cli.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from rt_cli.config.values import Key

LAYERS = ("file", "profile", "variable", "option")
"""Layers from lowest to highest precedence, above the defaults."""
KEYS = settings_keys()
TEXTS: dict[str, tuple[str, str]] = {
    "channel": ("left", "2"),
    "proxy": ("http://one.test:1", "socks5h://two.test:2"),
    "url": ("https://one.test", "https://two.test"),
}


def layers_of(key: Key) -> tuple[str, ...]:
    """Return the layers that accept a key."""
    if key.declared.only == "profiles":
        return ("profile",)
    if key.declared.only == "rt":
        return ("option",)
    impossible = {"variable"} if key.kind is tuple else set()
    return tuple(layer for layer in LAYERS if layer not in impossible and (layer != "option" or key.declared.option))


def two_of(key: Key) -> tuple[Any, Any]:
    """Return two different values of a key, neither of them its default."""
    if key.kind is bool:
        return (True, False)
    if key.name == "keyterm":
        return (["one"], ["two"])
    if key.kind is tuple:
        return ({"X-A": "1"}, {"X-A": "2"})
    if key.kind in (int, float):
        lowest, highest = key.declared.low, key.declared.high
        return (lowest + 1.25, lowest + 2.5) if key.kind is float and lowest + 2.5 <= highest else low(key)
    if get_origin(key.kind) is Literal:
        first, *_, last = get_args(key.kind)
        return (last, first)
    return TEXTS.get(key.name, ("one", "two"))


def low(key: Key) -> tuple[float, float]:
    """Return two values of a narrow range, or of whole numbers."""
    lowest, highest = key.declared.low, key.declared.high
    return (lowest + 1, lowest + 2) if key.kind is int else (lowest + (highest - lowest) / 4, highest)


def run_arguments(tmp_path: Path, key: Key, values: dict[str, Any]) -> dict[str, Any]:
    """Return arguments of a run in which each layer gives its value."""
    config = tmp_path / "config.toml"
    tables = []
    for layer, table in (("file", key.table), ("profile", "profiles.p")):
        content = f"{key.name} = {toml(values[layer])}\n" if layer in values else ""
        tables.append(f"[{table}]\n{content}")
    config.write_text("".join(tables))
    environ = {f"RT_{key.name.upper()}": str(values["variable"])} if "variable" in values else {}
    flags = {key.name: as_option(key, values["option"])} if "option" in values else {}
    # Name the profile: a URL in options or environment disables the default profile.
    return {"flags": flags, "config": config, "profile": "p", "environ": environ}


def toml(value: Any) -> str:
    """Return a value as TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {toml(inner)}" for name, inner in value.items()) + "}"
    return json.dumps(value)


def as_option(key: Key, value: Any) -> Any:
    """Return a value as an option: a table as a list of pairs."""
    if not key.is_table:
        return value
    return [f"{name}: {inner}" if key.name == "headers" else f"{name}={inner}" for name, inner in value.items()]


def effective(key: Key, arguments: dict[str, Any]) -> Any:
    """Return the value of a key in the settings of a run; of a table its last entry."""
    value = getattr(getattr(load_settings(**arguments), key.table), key.field)
    if key.name == "keyterm":
        return value[-1:]
    return str(dict(value).get("X-A")) if key.kind is tuple else value


PAIRS = [
    pytest.param(key, lower, higher, id=f"{name}: {higher} over {lower}")
    for name, key in KEYS.items()
    for lower, higher in itertools.combinations(layers_of(key), 2)
]


@pytest.mark.parametrize(("key", "lower", "higher"), PAIRS)
def test_the_higher_layer_wins(tmp_path: Path, key: Key, lower: str, higher: str) -> None:
    """For every key and every two layers, the higher layer wins, whichever of two values it has."""
    for below, above in itertools.permutations(two_of(key)):
        alone = effective(key, run_arguments(tmp_path, key, {higher: above}))
        under = effective(key, run_arguments(tmp_path, key, {higher: below}))
        both = effective(key, run_arguments(tmp_path, key, {lower: below, higher: above}))

        assert alone != under
        assert both == alone


@pytest.mark.parametrize(
    ("key", "layer"),
    [pytest.param(key, layer, id=f"{name}: {layer}") for name, key in KEYS.items() for layer in layers_of(key)],
)
def test_every_layer_is_over_the_default_and_named(tmp_path: Path, key: Key, layer: str) -> None:
    """A single value overrides the default, and its origin is reported."""
    default = getattr(getattr(Settings(), key.table), key.field)
    value = next(value for value in two_of(key) if value != default)
    arguments = run_arguments(tmp_path, key, {layer: value})
    origins = {"file": "file", "profile": "profile p", "variable": f"RT_{key.name.upper()}", "option": "--"}

    assert effective(key, arguments) != (str(None) if key.is_table else default)
    assert effective_values(**arguments)[key.name].origin.startswith(origins[layer])


def test_the_table_has_every_key() -> None:
    """The table has every key of the settings."""
    assert {param.values[0].name for param in PAIRS} == {
        name for name, key in KEYS.items() if key.declared.only is None
    }
