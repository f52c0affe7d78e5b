"""The session object of a transcription session: ``session.update`` and its rules. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rt_cli.errors import UsageError
from rt_cli.protocol.openai.models import traits_of
from rt_cli.protocol.openai.overrides import with_overrides

if TYPE_CHECKING:
    from rt_cli.protocol.dialects.dialect import ConversationWish
    from rt_cli.settings import SessionSettings, TurnDetection


def choose_turn_detection(model: str, requested: TurnDetection | None, *, embedded: bool) -> TurnDetection:
    """Choose the turn detection.

    Args:
        model: The transcription model.
        requested: Choice of the user; None selects server_vad if the model supports it, else client.
        embedded: True for the embedded endpoint: server_vad for any model, no semantic_vad.

    Raises:
        UsageError: The endpoint does not support the choice for this model.
    """
    supported = embedded or traits_of(model).server_turns
    if requested is None:
        return "server_vad" if supported else "client"
    if requested == "semantic_vad" and embedded:
        raise UsageError(
            "the embedded endpoint has no semantic turn detection", "use --turn-detection server_vad or client"
        )
    if requested in {"server_vad", "semantic_vad"} and not supported:
        raise UsageError(
            f"{model} does no turn detection of its own", "use --turn-detection client, or another --model"
        )
    return requested


def transcription_session(
    settings: SessionSettings, model: str, turns: TurnDetection, rate_hz: int
) -> dict[str, object]:
    """Build the ``session`` of the first ``session.update``.

    Args:
        settings: Settings of the user.
        model: The transcription model.
        turns: Result of :func:`choose_turn_detection`; ``client`` and ``none`` switch the endpoint's detection off.
        rate_hz: Sample rate of the PCM on the wire.

    Raises:
        UsageError: The model does not take a prompt, key terms, a delay or several languages; or an override does not
            fit.
    """
    audio: dict[str, Any] = {
        "format": {"type": "audio/pcm", "rate": rate_hz},
        "transcription": _transcription(settings, model),
        "turn_detection": _turn_detection(settings, turns),
    }
    if settings.noise_reduction is not None:
        audio["noise_reduction"] = {"type": settings.noise_reduction}
    session: dict[str, Any] = {"type": "transcription", "audio": {"input": audio}}
    if settings.confidence:
        session["include"] = ["item.input_audio_transcription.logprobs"]
    return with_overrides(session, settings.extra)


def listening_turns(requested: TurnDetection | None) -> TurnDetection:
    """Choose the turn detection of a conversation that is only listened to: the endpoint has it for any model."""
    return requested or "server_vad"


def listening_session(settings: SessionSettings, model: str, turns: TurnDetection, rate_hz: int) -> dict[str, object]:
    """Build the ``session`` of a conversation that is only listened to: no replies, in text if they come all the same.

    Without the endpoint's turn detection there are none either: only a commit makes a turn, and it asks for no reply.

    Args:
        settings: Settings of the user.
        model: The model that transcribes.
        turns: ``client`` and ``none`` switch the endpoint's detection off.
        rate_hz: Sample rate of the PCM on the wire.

    Raises:
        UsageError: As for a transcription.
    """
    session = transcription_session(replace(settings, extra=()), model, turns, rate_hz)
    audio: Any = session["audio"]
    detection = audio["input"]["turn_detection"]
    if detection is not None:
        audio["input"]["turn_detection"] = {**detection, "create_response": False, "interrupt_response": False}
    return with_overrides({**session, "type": "realtime", "output_modalities": ["text"]}, settings.extra)


def conversation_session(
    settings: SessionSettings, wish: ConversationWish, turns: TurnDetection, rate_hz: int
) -> dict[str, object]:
    """Build the ``session`` of the ``session.update`` of a conversation.

    The endpoint replies at the end of each turn that it detects. It does not interrupt its replies by itself: ``rt``
    knows what was heard.

    Args:
        settings: Settings of the user.
        wish: What is asked of the replies.
        turns: ``client`` and ``none`` switch the endpoint's detection off.
        rate_hz: Sample rate of the PCM on the wire, both ways.

    Raises:
        UsageError: The transcription model does not take a prompt or several languages, or an override does not fit.
    """
    detection = _turn_detection(settings, turns)
    pcm = {"type": "audio/pcm", "rate": rate_hz}
    audio: dict[str, Any] = {
        "input": {
            "format": pcm,
            "transcription": _transcription(settings, wish.transcription_model),
            "turn_detection": detection and {**detection, "create_response": True, "interrupt_response": False},
        }
    }
    if settings.noise_reduction is not None:
        audio["input"]["noise_reduction"] = {"type": settings.noise_reduction}
    if wish.spoken:
        audio["output"] = {"format": pcm, **({} if wish.voice is None else {"voice": wish.voice})}
    session: dict[str, Any] = {
        "type": "realtime",
        "output_modalities": ["audio" if wish.spoken else "text"],
        "audio": audio,
    }
    if wish.instructions is not None:
        session["instructions"] = wish.instructions
    if wish.tools:
        session["tools"] = [dict(tool) for tool in wish.tools]
    return with_overrides(session, settings.extra)


def _transcription(settings: SessionSettings, model: str) -> dict[str, object]:
    traits = traits_of(model)
    transcription: dict[str, object] = {"model": model}
    languages = [part.strip() for part in (settings.language or "").split(",") if part.strip()]
    if languages and traits.language_list:
        transcription["languages"] = languages
    elif len(languages) > 1:
        raise UsageError(f"{model} takes one language", f"use --language {languages[0]}")
    elif languages:
        transcription["language"] = languages[0]
    if settings.prompt is not None:
        if not traits.prompt:
            raise UsageError(f"{model} takes no prompt", "leave out --prompt, or use another --model")
        transcription["prompt"] = settings.prompt
    if settings.keyterm:
        if not traits.keywords:
            raise UsageError(f"{model} takes no key terms", "leave out --keyterm, or use another --model")
        transcription["keywords"] = list(settings.keyterm)
    if settings.delay is not None:
        if not traits.delay:
            raise UsageError(f"{model} takes no delay", "leave out --delay, or use another --model")
        transcription["delay"] = settings.delay
    return transcription


def _turn_detection(settings: SessionSettings, turns: TurnDetection) -> dict[str, object] | None:
    match turns:
        case "server_vad":
            # Always send every number: defaults differ between providers, and from a provider's documentation.
            return {
                "type": "server_vad",
                "threshold": settings.vad_threshold,
                "prefix_padding_ms": settings.prefix_ms,
                "silence_duration_ms": settings.silence_ms,
            }
        case "semantic_vad":
            return {"type": "semantic_vad", "eagerness": "auto"}
        case _:
            # An explicit null: without the field, the endpoint's default is on.
            return None
