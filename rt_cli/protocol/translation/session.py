"""The session object of a translation, from the settings. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rt_cli.errors import UsageError
from rt_cli.protocol.openai.overrides import with_overrides

if TYPE_CHECKING:
    from rt_cli.settings import SessionSettings

TRANSLATION_MODEL = "gpt-realtime-translate"
_TRANSCRIPTION_MODEL = "gpt-realtime-whisper"
_NOT_TAKEN = {
    "language": "the model hears which language is spoken",
    "prompt": "a translation has no such field",
    "keyterm": "a translation has no such field",
    "delay": "a translation has no such field",
    "confidence": "a translation has no such field",
    "turn_detection": "a translation has no turns: rt makes them of its words",
}


def translation_session(settings: SessionSettings, *, transcription_model: str | None = None) -> dict[str, object]:
    """Build the ``session`` of the first ``session.update``.

    Args:
        settings: Settings of the user, with the language of the translation.
        transcription_model: Writes down what is said; None for the usual one.

    Raises:
        UsageError: A setting that a translation does not take, or an override that does not fit.
    """
    for name, reason in _NOT_TAKEN.items():
        if getattr(settings, name):
            raise UsageError(f"--{name.replace('_', '-')} does nothing with --translate: {reason}", "leave it out")
    session: dict[str, Any] = {
        "audio": {
            "input": {"transcription": {"model": transcription_model or _TRANSCRIPTION_MODEL}},
            "output": {"language": settings.translate},
        }
    }
    if settings.noise_reduction is not None:
        session["audio"]["input"]["noise_reduction"] = {"type": settings.noise_reduction}
    return with_overrides(session, settings.extra)
