"""The flat (beta) shape of a session: one builder for all providers that take it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from rt_cli.protocol.openai.overrides import with_overrides

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rt_cli.settings import SessionSettings, TurnDetection

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FlatShape:
    """What providers name differently, or refuse."""

    encoding: str | None = "pcm16"
    """Name of 16-bit PCM; None: the provider refuses to be told."""
    rate_field: str | None = None
    """Field of the sample rate; None: the rate is fixed."""
    modalities: bool = True
    """``modalities`` is a field."""
    model: bool = True
    """The transcription has a ``model``."""
    turn_fields: frozenset[str] = frozenset()
    """The only fields of ``turn_detection``; empty: all of them."""
    reply_encoding: str | None = "pcm16"
    """Name of 16-bit PCM for the sound of replies; None: the provider refuses to be told."""
    nested_tools: bool = False
    """The declaration of a tool is in a field ``function``, as in chat completions."""


USUAL = FlatShape()
_NO_MORE: Mapping[str, object] = MappingProxyType({})


def flattened(
    session: Mapping[str, Any], shape: FlatShape = USUAL, more: Mapping[str, object] = _NO_MORE
) -> dict[str, object]:
    """Return a nested (GA) session object in the flat shape.

    Fields beside ``audio`` keep their names; ``type`` has none there.

    Args:
        session: As :mod:`rt_cli.protocol.openai.session` builds it.
        shape: Of the provider.
        more: Fields of the transcription that only this provider has.
    """
    audio: Mapping[str, Any] = session["audio"]["input"]
    flat = {name: value for name, value in session.items() if name not in {"type", "audio", "output_modalities"}}
    if shape.modalities:
        spoken = "audio" in session.get("output_modalities", ())
        flat["modalities"] = ["text", "audio"] if spoken else ["text"]
    if shape.encoding is not None:
        flat["input_audio_format"] = shape.encoding
    if shape.rate_field is not None:
        flat[shape.rate_field] = audio["format"]["rate"]
    transcription = audio["transcription"]
    flat["input_audio_transcription"] = {
        **{name: value for name, value in transcription.items() if shape.model or name != "model"},
        **more,
    }
    detection = audio["turn_detection"]
    flat["turn_detection"] = detection and {
        name: value for name, value in detection.items() if not shape.turn_fields or name in shape.turn_fields
    }
    if "noise_reduction" in audio:
        flat["input_audio_noise_reduction"] = audio["noise_reduction"]
    if (output := session["audio"].get("output")) is not None:
        if shape.reply_encoding is not None:
            flat["output_audio_format"] = shape.reply_encoding
        if "voice" in output:
            flat["voice"] = output["voice"]
    if shape.nested_tools and "tools" in flat:
        flat["tools"] = [_nested_tool(tool) for tool in session["tools"]]
    return flat


def _nested_tool(tool: Mapping[str, Any]) -> dict[str, object]:
    return {"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}}


def flat_session(
    build: Callable[[SessionSettings, T, TurnDetection, int], dict[str, object]],
    settings: SessionSettings,
    subject: T,
    turns: TurnDetection,
    rate_hz: int,
    shape: FlatShape,
    more: Mapping[str, object] = _NO_MORE,
) -> dict[str, object]:
    """Build a flat ``session``; ``--set`` counts last, with the paths of the flat shape.

    Errors are those of ``build`` and of :func:`flattened`.

    Args:
        build: Builds the nested session: a function of :mod:`rt_cli.protocol.openai.session`.
        settings: Settings of the user.
        subject: What ``build`` wants: the model, or the wish for a conversation.
        turns: Who makes the turns.
        rate_hz: Sample rate on the wire.
        shape: Of the provider.
        more: Fields of the transcription that only this provider has.
    """
    nested = build(replace(settings, extra=()), subject, turns, rate_hz)
    return with_overrides(flattened(nested, shape, more), settings.extra)
