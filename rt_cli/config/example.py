"""The example file: every key with its default, commented out, made from the declarations."""

from __future__ import annotations

import json
import math
import textwrap
from typing import TYPE_CHECKING, Any

from rt_cli.config.values import settings_keys
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rt_cli.config.values import Key

_WIDTH = 120

_HEAD = """\
# The configuration of rt: every key, with its default, unit and range. Made by rt config init.
#
# Copy it to the folder of your user's configuration as rt/config.toml (Linux: ~/.config/rt/config.toml), or name it
# with RT_CONFIG or --config. All of it is optional. What counts, the last first: an option (--silence-ms 700), a
# variable (RT_SILENCE_MS=700), a profile, the tables below, the default.
#
# What counts without a line in here stands behind a # without a space: take that away to change a value.
# "auto" leaves a value to rt: it depends on the source or on the endpoint, or there is none.
# Durations are numbers of seconds, or texts with a unit: "250ms", "10s", "2m", "1h". Keys that end in _ms are numbers
# of milliseconds, or texts with a unit.
# No key of an endpoint belongs in here: see api_key_file, api_key_cmd, and key_env at the end.

# The profile that is used when neither options nor variables choose an endpoint. Default: none.
# default_profile = "work"
"""
_PROFILES = """
# Profiles name endpoints: rt send -p work FILE. Any key of the tables above can be in one, without its table, and
# key_env, the variable that holds the key for this URL and no other.
#
# [profiles.work]
# url = "https://RESOURCE.openai.azure.com"
# model = "my-deployment"
# key_env = "WORK_KEY"
#
# [profiles.lab]
# url = "ws://192.168.1.20:8000"
# model = "whisper-large"
# silence_ms = 800
"""


def example() -> str:
    """Return the text of the example file. A file with this text changes no setting."""
    return _HEAD + "".join(_lines()) + _PROFILES


def _lines() -> Iterator[str]:
    keys = [key for key in settings_keys().values() if key.declared.only is None]
    for table in dict.fromkeys(key.table for key in keys):
        yield f"\n[{table}]\n"
        # TOML: what follows the heading of a table belongs to that table, so tables in the table come last.
        for key in sorted((key for key in keys if key.table == table), key=lambda key: key.is_table):
            if key.is_table:
                yield f"\n{_comment(key)}#[{table}.{key.name}]\n# {key.declared.sample}\n"
            else:
                yield f"{_comment(key)}#{key.name} = {toml_value(key.default)}\n"


def description_of(key: Key) -> str:
    """Return what a key means, its unit and the values that it accepts; without its default, unless that is nothing."""
    auto = f"auto: {key.declared.auto}." if key.optional and key.declared.auto else ""
    default = "Default: nothing." if key.kind is tuple else ""
    return " ".join(part for part in (key.declared.doc, _values(key), auto, default) if part)


def _comment(key: Key) -> str:
    text = description_of(key)
    return textwrap.fill(text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False) + "\n"


def _values(key: Key) -> str:
    if key.choices:
        return "" if all(choice in key.declared.doc for choice in key.choices) else f"One of {', '.join(key.choices)}."
    if key.kind not in (int, float):
        return ""
    low, high = key.declared.low, key.declared.high
    bounds = f"at least {low:.10g}" if math.isinf(high) else f"{low:.10g} to {high:.10g}"
    unit = {"ms": " ms", "s": " s"}.get(key.unit, "")
    return f"{bounds[0].upper()}{bounds[1:]}{unit}{', or max' if key.declared.unlimited else ''}."


def toml_value(value: Any) -> str:
    """Return a value as TOML, None as ``auto``. Text is made printable."""
    match value:
        case None:
            return '"auto"'
        case dict():
            return "{" + ", ".join(f"{json.dumps(name)} = {toml_value(inner)}" for name, inner in value.items()) + "}"
        case list() | tuple():
            return f"[{', '.join(map(toml_value, value))}]"
    # A JSON string without control characters is a TOML string, too.
    return json.dumps(printable(value) if isinstance(value, str) else value, ensure_ascii=False)
