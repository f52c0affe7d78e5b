"""What a conversation session says about replies: the fields, their values, their defaults. Pure.

Everywhere null goes back to the default. ``prompt``, ``reasoning``, ``parallel_tool_calls``, ``truncation`` and
``tracing`` are checked, kept and shown, but have no effect here; tools are functions only, there is no MCP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from rt_cli.server.session.validate import (
    Check,
    anything,
    boolean,
    by_type,
    fields,
    list_of,
    mapping,
    nullable,
    number,
    one_of,
    text,
)
from rt_cli.server.session.wire import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

OUTPUT_RATE_HZ = 24_000
MAX_OUTPUT_TOKENS = 4_096
DEFAULT_VOICE = "alloy"
_MAX_INSTRUCTIONS = 131_072
_MAX_NAME = 256
_MAX_TOOLS = 128
_MAX_OBJECT_BYTES = 65_536
_MAX_DEPTH = 64
_MAX_TOKENS = 1_000_000

_PCM = {"type": "audio/pcm", "rate": OUTPUT_RATE_HZ}
DEFAULTS: Mapping[str, Any] = {
    "output_modalities": ["audio"],
    "instructions": "",
    "prompt": None,
    "max_output_tokens": "inf",
    "tools": [],
    "tool_choice": "auto",
    "truncation": "auto",
    "tracing": None,
    "output": {"format": _PCM, "voice": DEFAULT_VOICE, "speed": 1.0},
}
"""A conversation session to begin with, ``audio.output`` under ``output``; ``model``, ``reasoning`` and
``parallel_tool_calls`` are there once they are set."""


def _modalities(value: Any, param: str) -> list[str]:
    chosen: list[str] = list_of(one_of("audio", "text"))(value, param)
    if len(chosen) != 1:
        raise Rejected("invalid_value", f'{param} must be exactly ["audio"] or ["text"].', param)
    return chosen


def _tokens(value: Any, param: str) -> Any:
    if value == "inf":
        return value
    if isinstance(value, str):
        raise Rejected("invalid_value", f'{param} must be "inf" or 1 to {MAX_OUTPUT_TOKENS}.', param)
    return number("integer", 1, MAX_OUTPUT_TOKENS)(value, param)


def _name(value: Any, param: str) -> str:
    name: str = text(64, shortest=1)(value, param)
    if not all(char.isascii() and (char.isalnum() or char in "_-") for char in name):
        raise Rejected("invalid_value", f"{param} may hold letters, digits, _ and - only.", param)
    return name


def _object(value: Any, param: str) -> Any:
    """An object that is kept as it came, so its size and its depth are bounded."""
    if not _shallower(mapping(value, param), _MAX_DEPTH):
        raise Rejected("invalid_value", f"{param} is nested deeper than {_MAX_DEPTH} levels.", param)
    if len(msgspec.json.encode(value)) > _MAX_OBJECT_BYTES:
        raise Rejected("invalid_value", f"{param} is larger than {_MAX_OBJECT_BYTES} bytes.", param)
    return value


def _shallower(value: Any, levels: int) -> bool:
    """Whether objects and lists lie in each other less than so many times."""
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_shallower(item, levels - 1) for item in inner)


def _or_object(check: Check, inner: Check) -> Check:
    """An object that ``inner`` takes, or anything else that ``check`` takes."""
    return lambda value, param: (inner if isinstance(value, dict) else check)(value, param)


def _voice(value: Any, param: str) -> Any:
    name = text(_MAX_NAME, shortest=1)
    return _or_object(name, fields({"id": name}, required=("id",)))(value, param)


def _pcm_24_khz(value: Any, param: str) -> Any:
    checked = fields({"type": anything, "rate": number("integer", OUTPUT_RATE_HZ, OUTPUT_RATE_HZ)})(value, param)
    return {"rate": OUTPUT_RATE_HZ, **checked}


_TYPE_ONLY = fields({"type": anything})
_FORMAT = by_type({"audio/pcm": _pcm_24_khz, "audio/pcmu": _TYPE_ONLY, "audio/pcma": _TYPE_ONLY})
_TOOL = by_type(
    {
        "function": fields(
            {
                "type": anything,
                "name": _name,
                "description": nullable(text(), ""),
                "parameters": nullable(_object, {}),
            },
            required=("name",),
        )
    }
)
_VARIABLE = _or_object(text(), by_type({"input_text": fields({"type": anything, "text": text()}, required=("text",))}))


def _variables(value: Any, param: str) -> dict[str, Any]:
    return {name: _VARIABLE(item, f"{param}.{name[:64]}") for name, item in _object(value, param).items()}


OUTPUT: Check = fields(
    {
        "format": nullable(_FORMAT, _PCM),
        "voice": nullable(_voice, DEFAULT_VOICE),
        "speed": nullable(number("decimal", 0.25, 1.5), 1.0),
    }
)
"""``audio.output``."""
FIELDS: Mapping[str, Check] = {
    "output_modalities": nullable(_modalities, DEFAULTS["output_modalities"]),
    "instructions": nullable(text(_MAX_INSTRUCTIONS), ""),
    "prompt": nullable(
        fields(
            {
                "id": text(_MAX_NAME, shortest=1),
                "version": nullable(text(_MAX_NAME)),
                "variables": nullable(_variables),
            },
            required=("id",),
        )
    ),
    "max_output_tokens": nullable(_tokens, "inf"),
    "tools": nullable(list_of(_TOOL, _MAX_TOOLS), []),
    "tool_choice": nullable(
        _or_object(
            one_of("auto", "none", "required"),
            by_type({"function": fields({"type": anything, "name": _name}, required=("name",))}),
        ),
        "auto",
    ),
    "parallel_tool_calls": nullable(boolean),
    "reasoning": nullable(
        fields({"effort": nullable(one_of("minimal", "low", "medium", "high", "xhigh"))}),
    ),
}
"""What a session and a single response have in common, beside ``audio.output``."""
SESSION_FIELDS: Mapping[str, Check] = {
    **FIELDS,
    "model": nullable(text(_MAX_NAME)),
    "truncation": nullable(
        _or_object(
            one_of("auto", "disabled"),
            by_type(
                {
                    "retention_ratio": fields(
                        {
                            "type": anything,
                            "retention_ratio": number("decimal", 0, 1),
                            "token_limits": nullable(
                                fields({"post_instructions": nullable(number("integer", 0, _MAX_TOKENS))})
                            ),
                        },
                        required=("retention_ratio",),
                    )
                }
            ),
        ),
        "auto",
    ),
    "tracing": nullable(
        _or_object(
            one_of("auto"),
            fields({"workflow_name": text(_MAX_NAME), "group_id": text(_MAX_NAME), "metadata": _object}),
        )
    ),
}


def merged(
    old: Mapping[str, Any], new: Mapping[str, Any], output: Mapping[str, Any], *, voice_fixed: bool
) -> dict[str, Any]:
    """The fields of a session after an update.

    The model is whatever was named first: agent packages name their own in every update, whatever the URL says.

    Args:
        old: Its fields so far, ``output`` among them; :data:`DEFAULTS` at first.
        new: The update's, checked.
        output: The update's ``audio.output``, checked.
        voice_fixed: The client has heard the voice.

    Raises:
        Rejected: The update changes what is settled: the voice that was heard, tracing that is on.
    """
    after = {**old, **new, "output": {**old["output"], **output}}
    if voice_fixed and after["output"]["voice"] != old["output"]["voice"]:
        message = "The voice cannot change once the assistant has been heard."
        raise Rejected("cannot_update_voice", message, "session.audio.output.voice")
    after["model"] = old.get("model") or after.get("model")
    if old.get("tracing") is not None and after["tracing"] != old["tracing"]:
        raise Rejected("invalid_value", "session.tracing cannot change once it is set.", "session.tracing")
    return {name: value for name, value in after.items() if value is not None or name in DEFAULTS}
