"""The configuration of a session: what may be set, to what, and what an update makes of it. Pure.

Departures from OpenAI: input rates from 8 to 48 kHz are accepted (24 is the default); G.711 and ``semantic_vad`` are
refused; languages other than English are, too; a session may change its type. ``noise_reduction`` and what only
concerns replies are accepted and have no effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from rt_cli.local.wire import Rejected

SessionType = Literal["transcription", "realtime"]
Check = Callable[[Any, str], Any]
"""Takes a value and its path; returns the value or raises Rejected."""

DEFAULT_RATE_HZ = 24_000
MIN_RATE_HZ = 8_000
MAX_RATE_HZ = 48_000
SERVER_VAD: Mapping[str, Any] = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 200,
}
_MAX_PREFIX_MS = 5_000
_MAX_SILENCE_MS = 60_000
_MAX_TEXT = 16_384
_MAX_LIST = 1_024
_INPUT = "session.audio.input"


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """The effective configuration."""

    type: SessionType
    rate_hz: int = DEFAULT_RATE_HZ
    transcription: Mapping[str, Any] | None = None
    """None: turns are made, but no words."""
    noise_reduction: Mapping[str, Any] | None = None
    turn_detection: Mapping[str, Any] | None = field(default_factory=lambda: dict(SERVER_VAD))
    """Server VAD with all its numbers, or None: the client commits."""
    replies: Mapping[str, Any] = field(default_factory=dict)
    """What a ``realtime`` session says about replies; kept and shown, without effect."""

    def describe(self) -> dict[str, Any]:
        """The session object of ``session.created`` and ``session.updated``, without id and expiry."""
        return {
            "object": "realtime.transcription_session" if self.type == "transcription" else "realtime.session",
            "type": self.type,
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": self.rate_hz},
                    "transcription": self.transcription,
                    "noise_reduction": self.noise_reduction,
                    "turn_detection": self.turn_detection,
                },
                **self.replies.get("audio", {}),
            },
            **{name: value for name, value in self.replies.items() if name != "audio"},
        }


def updated(config: SessionConfig, session: object) -> SessionConfig:
    """The configuration after a ``session.update``: fields that are absent stay as they were.

    Args:
        config: What it was.
        session: The ``session`` field of the event, untrusted.

    Raises:
        Rejected: Any field is unknown or wrong; the update is to be discarded whole.
    """
    if not isinstance(session, dict):
        raise Rejected("invalid_type", "session must be an object.", "session")
    if "type" not in session:
        raise Rejected("missing_required_parameter", "Missing required parameter: 'session.type'.", "session.type")
    kind: SessionType = _one_of("transcription", "realtime")(session["type"], "session.type")
    reply_fields = _REPLY_FIELDS if kind == "realtime" else {}
    values = _fields({**_SESSION_FIELDS, **reply_fields})(session, "session")
    audio = _fields({"input": _mapping, **({"output": _any} if reply_fields else {})})(
        values.get("audio", {}), "session.audio"
    )
    replies = {name: value for name, value in values.items() if name not in {"type", "audio"}}
    if "output" in audio:
        replies["audio"] = {"output": audio["output"]}
    kept = config.replies if kind == config.type else {}
    return _with_input(replace(config, type=kind, replies={**kept, **replies}), audio.get("input", {}))


def _with_input(config: SessionConfig, given: dict[str, Any]) -> SessionConfig:
    values = _fields(_INPUT_FIELDS)(given, _INPUT)
    if "format" in values:
        config = replace(config, rate_hz=values["format"].get("rate", config.rate_hz))
    if "transcription" in values:
        config = replace(config, transcription=_merged(config.transcription, values["transcription"]))
    if "noise_reduction" in values:
        config = replace(config, noise_reduction=values["noise_reduction"])
    if "turn_detection" in values:
        merged = _merged(config.turn_detection or SERVER_VAD, values["turn_detection"])
        config = replace(config, turn_detection=merged)
    return config


def _merged(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    return None if new is None else {**(old or {}), **new}


def _any(value: Any, _param: str) -> Any:
    return value


def _mapping(value: Any, param: str) -> Any:
    if not isinstance(value, dict):
        raise Rejected("invalid_type", f"{param} must be an object.", param)
    return value


def _fields(checks: Mapping[str, Check]) -> Check:
    """An object whose every key is known and every value right."""

    def check(value: Any, param: str) -> dict[str, Any]:
        for name in _mapping(value, param):
            if name not in checks:
                path = f"{param}.{name}"
                raise Rejected("unknown_parameter", f"Unknown parameter: {path[:200]!r}.", path[:200])
        return {name: checks[name](item, f"{param}.{name}") for name, item in value.items()}

    return check


def _nullable(check: Check) -> Check:
    return lambda value, param: None if value is None else check(value, param)


def _one_of(*choices: str) -> Check:
    def check(value: Any, param: str) -> str:
        if value not in choices:
            raise Rejected("invalid_value", f"{param} must be one of: {', '.join(choices)}.", param)
        return str(value)

    return check


def _number(kind: Literal["integer", "decimal"], low: float, high: float) -> Check:
    def check(value: Any, param: str) -> Any:
        right = isinstance(value, int) or (kind == "decimal" and isinstance(value, float))
        if not right or isinstance(value, bool):
            raise Rejected(
                "invalid_type", f"{param} must be {'an integer' if kind == 'integer' else 'a number'}.", param
            )
        if value < low:
            raise Rejected(f"{kind}_below_min_value", f"{param} must be at least {low}, got {value}.", param)
        if value > high:
            raise Rejected(f"{kind}_above_max_value", f"{param} must be at most {high}, got {value}.", param)
        return value

    return check


def _boolean(value: Any, param: str) -> bool:
    if not isinstance(value, bool):
        raise Rejected("invalid_type", f"{param} must be true or false.", param)
    return value


def _text(value: Any, param: str) -> str:
    if not isinstance(value, str):
        raise Rejected("invalid_type", f"{param} must be a string.", param)
    if len(value) > _MAX_TEXT:
        raise Rejected("string_above_max_length", f"{param} is longer than {_MAX_TEXT} characters.", param)
    return value


def _list(check: Check) -> Check:
    def checked(value: Any, param: str) -> list[Any]:
        if not isinstance(value, list) or len(value) > _MAX_LIST:
            raise Rejected("invalid_type", f"{param} must be a list of at most {_MAX_LIST}.", param)
        return [check(item, f"{param}[{index}]") for index, item in enumerate(value)]

    return checked


def _language(value: Any, param: str) -> str:
    if _text(value, param).lower().split("-")[0] != "en":
        raise Rejected("invalid_value", "The embedded recogniser knows English (en) only.", param)
    return str(value)


def _pcm(value: Any, param: str) -> str:
    if value != "audio/pcm":
        raise Rejected("invalid_value", "The embedded endpoint takes audio/pcm only.", param)
    return str(value)


def _detector(value: Any, param: str) -> str:
    if value != "server_vad":
        raise Rejected("invalid_value", "The embedded endpoint detects turns by server_vad, or null for none.", param)
    return str(value)


def _no_timeout(value: Any, param: str) -> None:
    if value is not None:
        raise Rejected("invalid_value", "The embedded endpoint has no idle timeout.", param)


_INPUT_FIELDS: Mapping[str, Check] = {
    "format": _fields({"type": _pcm, "rate": _number("integer", MIN_RATE_HZ, MAX_RATE_HZ)}),
    "transcription": _nullable(
        _fields(
            {
                "model": _text,
                "language": _nullable(_language),
                "languages": _nullable(_list(_language)),
                "keywords": _nullable(_list(_text)),
                "prompt": _nullable(_text),
                "delay": _nullable(_one_of("minimal", "low", "medium", "high", "xhigh")),
            }
        )
    ),
    "noise_reduction": _nullable(
        _fields({"type": _one_of("near_field", "far_field"), "strength": _number("decimal", 0, 1)})
    ),
    "turn_detection": _nullable(
        _fields(
            {
                "type": _detector,
                "threshold": _number("decimal", 0, 1),
                "prefix_padding_ms": _number("integer", 0, _MAX_PREFIX_MS),
                "silence_duration_ms": _number("integer", 0, _MAX_SILENCE_MS),
                "create_response": _boolean,
                "interrupt_response": _boolean,
                "idle_timeout_ms": _no_timeout,
            }
        )
    ),
}
_SESSION_FIELDS: Mapping[str, Check] = {
    "type": _text,
    "audio": _mapping,
    "include": _list(_one_of("item.input_audio_transcription.logprobs")),
}
_REPLY_FIELDS: Mapping[str, Check] = dict.fromkeys(
    (
        "model",
        "output_modalities",
        "instructions",
        "prompt",
        "max_output_tokens",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "reasoning",
        "truncation",
        "tracing",
    ),
    _any,
)
