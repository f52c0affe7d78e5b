"""The reply settings of a conversation session: fields, ranges and defaults. Pure.

null resets a field to its default. ``prompt``, ``reasoning``, ``parallel_tool_calls``, ``truncation`` and ``tracing``
are validated, stored and returned, but have no effect. Tools are functions only, without MCP.
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
"""Initial settings of a conversation session, with ``audio.output`` under ``output``. ``model``, ``reasoning`` and
``parallel_tool_calls`` are absent until an update sets them."""


def _modalities(value: Any, param: str) -> list[str]:
    modalities: list[str] = list_of(one_of("audio", "text"))(value, param)
    if len(modalities) != 1:
        raise Rejected("invalid_value", f'{param} must be exactly ["audio"] or ["text"].', param)
    return modalities


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
    """Check an object that is stored unchanged: size and nesting depth are limited."""
    if not _shallower(mapping(value, param), _MAX_DEPTH):
        raise Rejected("invalid_value", f"{param} is nested deeper than {_MAX_DEPTH} levels.", param)
    if len(msgspec.json.encode(value)) > _MAX_OBJECT_BYTES:
        raise Rejected("invalid_value", f"{param} is larger than {_MAX_OBJECT_BYTES} bytes.", param)
    return value


def _shallower(value: Any, levels: int) -> bool:
    """True if objects and lists are nested at most ``levels`` deep."""
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_shallower(item, levels - 1) for item in inner)


def _or_object(check: Check, inner: Check) -> Check:
    """Apply ``inner`` to an object, ``check`` to any other value."""
    return lambda value, param: (inner if isinstance(value, dict) else check)(value, param)


def _voice(value: Any, param: str) -> Any:
    name = text(_MAX_NAME, shortest=1)
    return _or_object(name, fields({"id": name}, required=("id",)))(value, param)


def _pcm_24_khz(value: Any, param: str) -> Any:
    valid = fields({"type": anything, "rate": number("integer", OUTPUT_RATE_HZ, OUTPUT_RATE_HZ)})(value, param)
    return {"rate": OUTPUT_RATE_HZ, **valid}


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
"""The check of ``audio.output``."""
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
"""Fields of both sessions and single responses, without ``audio.output``."""
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


def merge(
    old: Mapping[str, Any], new: Mapping[str, Any], output: Mapping[str, Any], *, voice_fixed: bool
) -> dict[str, Any]:
    """Merge an update into the reply settings.

    The first model stays: agent packages send their own model name in every update, even if the URL has another.

    Args:
        old: The settings before, with ``output``; initially :data:`DEFAULTS`.
        new: Valid fields of the update.
        output: Valid ``audio.output`` of the update.
        voice_fixed: The client has received audio in the current voice.

    Raises:
        Rejected: The update changes a fixed voice, or tracing that is on.
    """
    result = {**old, **new, "output": {**old["output"], **output}}
    if voice_fixed and result["output"]["voice"] != old["output"]["voice"]:
        message = "The voice cannot change once the assistant has been heard."
        raise Rejected("cannot_update_voice", message, "session.audio.output.voice")
    result["model"] = old.get("model") or result.get("model")
    if old.get("tracing") is not None and result["tracing"] != old["tracing"]:
        raise Rejected("invalid_value", "session.tracing cannot change once it is set.", "session.tracing")
    return {name: value for name, value in result.items() if value is not None or name in DEFAULTS}
