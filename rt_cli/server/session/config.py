"""The configuration of a session: its fields, their ranges, and how ``session.update`` changes them. Pure.

Differences from OpenAI: the input accepts PCM at 8 to 48 kHz (default 24); an update with a language that the
recogniser does not know is rejected; a session may change its type. ``noise_reduction`` is accepted and has no effect.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from rt_cli.server.session.conversation import reply_config
from rt_cli.server.session.validate import (
    MAX_TEXT,
    Check,
    anything,
    boolean,
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

SessionType = Literal["transcription", "realtime"]
AudioCoding = Literal["pcm", "pcmu", "pcma"]

DEFAULT_RATE_HZ = 24_000
G711_RATE_HZ = 8_000
MIN_RATE_HZ = 8_000
MAX_RATE_HZ = 48_000
ENGLISH = frozenset({"en"})
SERVER_VAD: Mapping[str, Any] = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 200,
}
SEMANTIC_VAD: Mapping[str, Any] = {"type": "semantic_vad", "eagerness": "auto"}
_VADS = {"server_vad": SERVER_VAD, "semantic_vad": SEMANTIC_VAD}
_ANSWERS = {"create_response": True, "interrupt_response": True}
"""Defaults of both kinds of VAD, in conversations."""
_MAX_PREFIX_MS = 5_000
_MAX_SILENCE_MS = 60_000
_MIN_IDLE_MS = 5_000
_MAX_IDLE_MS = 30_000
_INPUT = "session.audio.input"
_CODINGS: Mapping[str, AudioCoding] = {"audio/pcm": "pcm", "audio/pcmu": "pcmu", "audio/pcma": "pcma"}


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """The effective configuration."""

    type: SessionType
    rate_hz: int = DEFAULT_RATE_HZ
    """Sample rate of the input; 8000 for G.711."""
    transcription: Mapping[str, Any] | None = None
    """None: turns without transcripts. Empty fields are left out."""
    noise_reduction: Mapping[str, Any] | None = None
    turn_detection: Mapping[str, Any] | None = field(default_factory=lambda: dict(SERVER_VAD))
    """The type of VAD with all its settings. None: the client commits."""
    replies: Mapping[str, Any] = field(default_factory=lambda: dict(reply_config.DEFAULTS))
    """The reply settings of a ``realtime`` session: its top-level fields, and ``audio.output`` under ``output``.
    See :mod:`rt_cli.server.session.conversation.reply_config`."""
    input_format: AudioCoding = "pcm"
    include: tuple[str, ...] = ()

    @property
    def output_format(self) -> AudioCoding:
        """Encoding of reply audio: PCM at 24 kHz, G.711 at 8 kHz."""
        return _CODINGS[self.replies["output"]["format"]["type"]]

    @property
    def answers_turns(self) -> bool:
        """True if the end of a turn creates a response."""
        return self._answers("create_response")

    @property
    def interrupts(self) -> bool:
        """True if speech cancels the active response."""
        return self._answers("interrupt_response")

    @property
    def idle_timeout_ms(self) -> int | None:
        """Silence after a reply, in ms, after which the endpoint creates the next response; None: never."""
        if self.type != "realtime" or self.turn_detection is None:
            return None
        timeout: int | None = self.turn_detection.get("idle_timeout_ms")
        return timeout

    def _answers(self, name: str) -> bool:
        detection = self.turn_detection
        return self.type == "realtime" and detection is not None and bool(detection.get(name, True))

    def describe(self) -> dict[str, Any]:
        """Build the session object of ``session.created`` and ``session.updated``, without id and expiry."""
        replies = dict(self.replies) if self.type == "realtime" else {}
        output = {"output": replies.pop("output")} if replies else {}
        return {
            "object": "realtime.transcription_session" if self.type == "transcription" else "realtime.session",
            "type": self.type,
            "audio": {
                "input": {
                    "format": self._format(),
                    "transcription": self.transcription,
                    "noise_reduction": self.noise_reduction,
                    "turn_detection": self._detection(),
                },
                **output,
            },
            "include": list(self.include) or None,
            **replies,
        }

    def _format(self) -> dict[str, Any]:
        rate = {"rate": self.rate_hz} if self.input_format == "pcm" else {}
        return {"type": f"audio/{self.input_format}", **rate}

    def _detection(self) -> Mapping[str, Any] | None:
        if self.turn_detection is None or self.type == "transcription":
            return self.turn_detection
        timeout = {"idle_timeout_ms": None} if self.turn_detection["type"] == "server_vad" else {}
        return {**_ANSWERS, **timeout, **self.turn_detection}


def apply_update(
    config: SessionConfig,
    session: object,
    *,
    languages: frozenset[str] | None = ENGLISH,
    voice_fixed: bool = False,
) -> SessionConfig:
    """Apply a ``session.update``; absent fields keep their value.

    Args:
        config: The configuration before the update.
        session: The ``session`` field of the event, untrusted.
        languages: Languages of the recogniser (ISO 639-1); None: any.
        voice_fixed: The client has received audio in this voice, so the voice cannot change.

    Raises:
        Rejected: A field is unknown or invalid. The caller must discard the whole update.
    """
    if "type" not in mapping(session, "session"):
        raise Rejected("missing_required_parameter", "Missing required parameter: 'session.type'.", "session.type")
    kind: SessionType = one_of("transcription", "realtime")(session["type"], "session.type")  # type: ignore[index]
    is_conversation = kind == "realtime"
    values = fields({**_SESSION, **(reply_config.SESSION_FIELDS if is_conversation else {})})(session, "session")
    audio = fields(
        {"input": nullable(mapping, {}), **({"output": nullable(reply_config.OUTPUT, {})} if is_conversation else {})}
    )(values.get("audio", {}), "session.audio")
    if is_conversation:
        update = {name: value for name, value in values.items() if name not in _SESSION}
        replies = reply_config.merge(config.replies, update, audio.get("output", {}), voice_fixed=voice_fixed)
        config = replace(config, replies=replies)
    if "include" in values:
        config = replace(config, include=tuple(values["include"]))
    return _with_input(replace(config, type=kind), audio.get("input", {}), languages)


def _with_input(config: SessionConfig, update: dict[str, Any], languages: frozenset[str] | None) -> SessionConfig:
    values = fields(_INPUT_FIELDS)(update, _INPUT)
    if "format" in values:
        config = _with_format(config, values["format"])
    if "transcription" in values:
        _check_languages(values["transcription"], languages)
        config = replace(config, transcription=_merge(config.transcription, values["transcription"]))
    if "noise_reduction" in values:
        config = replace(config, noise_reduction=_merge(config.noise_reduction, values["noise_reduction"]))
    detection = values.get("turn_detection", config.turn_detection)
    return replace(config, turn_detection=_detection(config, detection))


def _with_format(config: SessionConfig, update: Mapping[str, Any]) -> SessionConfig:
    coding = _CODINGS[update.get("type", f"audio/{config.input_format}")]
    if coding == "pcm":
        current = config.rate_hz if config.input_format == "pcm" else DEFAULT_RATE_HZ
        return replace(config, input_format=coding, rate_hz=update.get("rate", current))
    if "rate" in update:
        path = f"{_INPUT}.format.rate"
        raise Rejected("unknown_parameter", f"Unknown parameter: {path!r}; G.711 has 8000 Hz.", path)
    return replace(config, input_format=coding, rate_hz=G711_RATE_HZ)


def _detection(config: SessionConfig, update: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Complete settings of the VAD type in ``update`` (default: the current type); another type gets defaults."""
    if update is None:
        return None
    old = config.turn_detection or SERVER_VAD
    kind = update.get("type", old["type"])
    current = old if kind == old["type"] else _VADS[kind]
    path = f"{_INPUT}.turn_detection"
    valid = fields(_DETECTION_FIELDS[kind])(update, path)
    if config.type == "transcription" and valid.get("idle_timeout_ms") is not None and update is not old:
        raise Rejected("invalid_value", "Only conversations have an idle timeout.", f"{path}.idle_timeout_ms")
    effective = {**current, **valid}
    if config.type == "transcription" or effective.get("idle_timeout_ms") is None:
        effective.pop("idle_timeout_ms", None)
    return effective


def _merge(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Merge two objects; null, an empty string or an empty list removes the field."""
    if new is None:
        return None
    return {name: value for name, value in {**(old or {}), **new}.items() if value not in (None, "", [])}


def _check_languages(transcription: Mapping[str, Any] | None, languages: frozenset[str] | None) -> None:
    if transcription is None or languages is None:
        return
    path = f"{_INPUT}.transcription."
    by_path = {f"{path}languages[{index}]": item for index, item in enumerate(transcription.get("languages") or [])}
    for param, language in {f"{path}language": transcription.get("language"), **by_path}.items():
        if language and language.lower().split("-")[0] not in languages:
            known = ", ".join(sorted(languages))
            raise Rejected("invalid_value", f"The embedded recogniser knows these languages only: {known}.", param)


def _keyword(value: Any, param: str) -> str:
    keyword: str = text()(value, param)
    if any(char in "<>\r\n" for char in keyword):
        raise Rejected("invalid_value", f"{param} must not hold <, > or line ends.", param)
    return keyword


_language = text(35)
"""35 characters: the longest tag that BCP 47 requires implementations to support."""
_DETECTION_FIELDS: Mapping[str, Mapping[str, Check]] = {
    "server_vad": {
        "type": anything,
        "threshold": nullable(number("decimal", 0, 1), SERVER_VAD["threshold"]),
        "prefix_padding_ms": nullable(number("integer", 0, _MAX_PREFIX_MS), SERVER_VAD["prefix_padding_ms"]),
        "silence_duration_ms": nullable(number("integer", 0, _MAX_SILENCE_MS), SERVER_VAD["silence_duration_ms"]),
        "idle_timeout_ms": nullable(number("integer", _MIN_IDLE_MS, _MAX_IDLE_MS)),
        "create_response": nullable(boolean, True),
        "interrupt_response": nullable(boolean, True),
    },
    "semantic_vad": {
        "type": anything,
        "eagerness": nullable(one_of("low", "medium", "high", "auto"), "auto"),
        "create_response": nullable(boolean, True),
        "interrupt_response": nullable(boolean, True),
    },
}


def _any_detection(value: Any, param: str) -> Any:
    """Check only ``type``, which may be absent: the other fields depend on the current type of VAD."""
    if "type" in mapping(value, param):
        one_of(*_VADS)(value["type"], f"{param}.type")
    return value


_INPUT_FIELDS: Mapping[str, Check] = {
    "format": nullable(
        fields({"type": one_of(*_CODINGS), "rate": number("integer", MIN_RATE_HZ, MAX_RATE_HZ)}),
        {"type": "audio/pcm", "rate": DEFAULT_RATE_HZ},
    ),
    "transcription": nullable(
        fields(
            {
                "model": text(),
                "language": nullable(_language),
                "languages": nullable(list_of(_language)),
                "keywords": nullable(list_of(_keyword)),
                "prompt": nullable(text(MAX_TEXT)),
                "delay": nullable(one_of("minimal", "low", "medium", "high", "xhigh")),
            }
        )
    ),
    "noise_reduction": nullable(
        fields({"type": one_of("near_field", "far_field"), "strength": number("decimal", 0, 1)})
    ),
    "turn_detection": nullable(_any_detection),
}
_SESSION: Mapping[str, Check] = {
    "type": anything,
    "audio": nullable(mapping, {}),
    "include": nullable(list_of(one_of("item.input_audio_transcription.logprobs")), []),
}
