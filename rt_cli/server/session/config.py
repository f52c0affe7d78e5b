"""The configuration of a session: what may be set, to what, and what an update makes of it. Pure.

Departures from OpenAI: PCM is taken at rates from 8 to 48 kHz (24 is the default); languages that the recogniser does
not know are refused; a session may change its type. ``noise_reduction`` is accepted and has no effect.
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
    """Of the input; 8000 where it is G.711."""
    transcription: Mapping[str, Any] | None = None
    """None: turns are made, but no words. Never holds a field that is empty."""
    noise_reduction: Mapping[str, Any] | None = None
    turn_detection: Mapping[str, Any] | None = field(default_factory=lambda: dict(SERVER_VAD))
    """A kind of VAD with all its numbers, or None: the client commits."""
    replies: Mapping[str, Any] = field(default_factory=lambda: dict(reply_config.DEFAULTS))
    """What counts for replies in a ``realtime`` session: every field of the session but ``audio.output``, which is
    under ``output``, whole. See :mod:`rt_cli.server.session.conversation.reply_config`."""
    input_format: AudioCoding = "pcm"
    include: tuple[str, ...] = ()

    @property
    def output_format(self) -> AudioCoding:
        """How replies are encoded: PCM at 24 kHz, G.711 at 8 kHz."""
        return _CODINGS[self.replies["output"]["format"]["type"]]

    @property
    def answers_turns(self) -> bool:
        """Whether the end of a turn creates a response."""
        return self._answers("create_response")

    @property
    def interrupts(self) -> bool:
        """Whether speech cancels the response under way."""
        return self._answers("interrupt_response")

    @property
    def idle_timeout_ms(self) -> int | None:
        """After how much silence since a reply the endpoint speaks again; None: never."""
        if self.type != "realtime" or self.turn_detection is None:
            return None
        timeout: int | None = self.turn_detection.get("idle_timeout_ms")
        return timeout

    def _answers(self, name: str) -> bool:
        detection = self.turn_detection
        return self.type == "realtime" and detection is not None and bool(detection.get(name, True))

    def describe(self) -> dict[str, Any]:
        """The session object of ``session.created`` and ``session.updated``, without id and expiry."""
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


def updated(
    config: SessionConfig,
    session: object,
    *,
    languages: frozenset[str] | None = ENGLISH,
    voice_fixed: bool = False,
) -> SessionConfig:
    """The configuration after a ``session.update``: fields that are absent stay as they were.

    Args:
        config: What it was.
        session: The ``session`` field of the event, untrusted.
        languages: Those that can be recognised; None: any.
        voice_fixed: The client has heard the voice, so it cannot change.

    Raises:
        Rejected: Any field is unknown or wrong; the update is to be discarded whole.
    """
    if "type" not in mapping(session, "session"):
        raise Rejected("missing_required_parameter", "Missing required parameter: 'session.type'.", "session.type")
    kind: SessionType = one_of("transcription", "realtime")(session["type"], "session.type")  # type: ignore[index]
    spoken = kind == "realtime"
    values = fields({**_SESSION, **(reply_config.SESSION_FIELDS if spoken else {})})(session, "session")
    audio = fields(
        {"input": nullable(mapping, {}), **({"output": nullable(reply_config.OUTPUT, {})} if spoken else {})}
    )(values.get("audio", {}), "session.audio")
    if spoken:
        given = {name: value for name, value in values.items() if name not in _SESSION}
        replies = reply_config.merged(config.replies, given, audio.get("output", {}), voice_fixed=voice_fixed)
        config = replace(config, replies=replies)
    if "include" in values:
        config = replace(config, include=tuple(values["include"]))
    return _with_input(replace(config, type=kind), audio.get("input", {}), languages)


def _with_input(config: SessionConfig, given: dict[str, Any], languages: frozenset[str] | None) -> SessionConfig:
    values = fields(_INPUT_FIELDS)(given, _INPUT)
    if "format" in values:
        config = _with_format(config, values["format"])
    if "transcription" in values:
        _known_languages(values["transcription"], languages)
        config = replace(config, transcription=_merged(config.transcription, values["transcription"]))
    if "noise_reduction" in values:
        config = replace(config, noise_reduction=_merged(config.noise_reduction, values["noise_reduction"]))
    detection = values.get("turn_detection", config.turn_detection)
    return replace(config, turn_detection=_detection(config, detection))


def _with_format(config: SessionConfig, given: Mapping[str, Any]) -> SessionConfig:
    coding = _CODINGS[given.get("type", f"audio/{config.input_format}")]
    if coding == "pcm":
        kept = config.rate_hz if config.input_format == "pcm" else DEFAULT_RATE_HZ
        return replace(config, input_format=coding, rate_hz=given.get("rate", kept))
    if "rate" in given:
        path = f"{_INPUT}.format.rate"
        raise Rejected("unknown_parameter", f"Unknown parameter: {path!r}; G.711 has 8000 Hz.", path)
    return replace(config, input_format=coding, rate_hz=G711_RATE_HZ)


def _detection(config: SessionConfig, given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """All numbers of the VAD that ``given`` names, the present one unless told; the other one starts with defaults."""
    if given is None:
        return None
    old = config.turn_detection or SERVER_VAD
    kind = given.get("type", old["type"])
    kept = old if kind == old["type"] else _VADS[kind]
    path = f"{_INPUT}.turn_detection"
    checked = fields(_DETECTION_FIELDS[kind])(given, path)
    if config.type == "transcription" and checked.get("idle_timeout_ms") is not None and given is not old:
        raise Rejected("invalid_value", "Only conversations have an idle timeout.", f"{path}.idle_timeout_ms")
    effective = {**kept, **checked}
    if config.type == "transcription" or effective.get("idle_timeout_ms") is None:
        effective.pop("idle_timeout_ms", None)
    return effective


def _merged(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Null, empty text and empty lists clear what they name."""
    if new is None:
        return None
    return {name: value for name, value in {**(old or {}), **new}.items() if value not in (None, "", [])}


def _known_languages(transcription: Mapping[str, Any] | None, languages: frozenset[str] | None) -> None:
    if transcription is None or languages is None:
        return
    path = f"{_INPUT}.transcription."
    wanted = {f"{path}languages[{index}]": item for index, item in enumerate(transcription.get("languages") or [])}
    for param, language in {f"{path}language": transcription.get("language"), **wanted}.items():
        if language and language.lower().split("-")[0] not in languages:
            known = ", ".join(sorted(languages))
            raise Rejected("invalid_value", f"The embedded recogniser knows these languages only: {known}.", param)


def _keyword(value: Any, param: str) -> str:
    keyword: str = text()(value, param)
    if any(char in "<>\r\n" for char in keyword):
        raise Rejected("invalid_value", f"{param} must not hold <, > or line ends.", param)
    return keyword


_language = text(35)
"""As long as BCP 47 lets the longest tag be that must be supported."""
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
    """An object that says of which kind it is, if it says so, and no more: the rest depends on the present one."""
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
