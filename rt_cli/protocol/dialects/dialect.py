"""How one provider is spoken to. The class speaks OpenAI's GA protocol; a provider that departs overrides. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rt_cli.errors import UsageError
from rt_cli.protocol.dialects.models import traits_of
from rt_cli.protocol.dialects.overrides import with_overrides

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rt_cli.settings import SessionSettings, TurnDetection


@dataclass(frozen=True, slots=True)
class Dialect:
    """A provider's address, key and session."""

    name: str
    hosts: tuple[str, ...]
    """Hosts that speak it; with a leading dot, all below a domain."""
    base_path: str
    """Where the API is when a URL does not say."""
    key_variable: str
    """Environment variable that holds the key for these hosts, and for no other."""
    key_header: str = "Authorization"
    key_prefix: str = "Bearer "
    rate_hz: int = 24_000
    """Of the PCM on the wire."""
    default_model: str = "gpt-live-transcribe"

    def owns(self, host: str) -> bool:
        """Whether a host (lower case) belongs to the provider."""
        return any(host.endswith(name) if name.startswith(".") else host == name for name in self.hosts)

    def auth_headers(self, key: str | None) -> tuple[tuple[str, str], ...]:
        """The headers that carry the key; none without one. Never a beta header: it ends the connection."""
        return () if key is None else ((self.key_header, f"{self.key_prefix}{key}"),)

    def check_query(self, query: Mapping[str, str]) -> None:
        """Refuse what the provider would refuse later and less clearly. Raises UsageError."""
        if "model" in query:
            raise UsageError(
                f"a model in the URL asks {self.name} for a conversation, not a transcription",
                "take it out of the URL and use --model",
            )
        if query.get("intent", "transcription") != "transcription":
            raise UsageError(f"intent={query['intent']} in the URL: rt transcribes", "take it out of the URL")

    def turn_detection(self, model: str, asked: TurnDetection | None, *, embedded: bool) -> TurnDetection:
        """Who makes the turns.

        Args:
            model: The transcription model.
            asked: What the user wants; None is whatever the model can.
            embedded: The embedded endpoint, which detects turns for any model, but not their meaning.

        Raises:
            UsageError: What is asked for would be refused.
        """
        able = embedded or traits_of(model).server_turns
        if asked is None:
            return "server_vad" if able else "client"
        if asked == "semantic_vad" and embedded:
            raise UsageError(
                "the embedded endpoint has no semantic turn detection", "use --turn-detection server_vad or client"
            )
        if asked in {"server_vad", "semantic_vad"} and not able:
            raise UsageError(
                f"{model} does no turn detection of its own", "use --turn-detection client, or another --model"
            )
        return asked

    def session(self, settings: SessionSettings, model: str, turns: TurnDetection) -> dict[str, object]:
        """The ``session`` of the first ``session.update``.

        Args:
            settings: What the user asked for.
            model: The transcription model.
            turns: The answer of :meth:`turn_detection`; ``client`` and ``none`` turn the endpoint's own off.

        Raises:
            UsageError: The model does not take a prompt or several languages, or an override does not fit.
        """
        audio: dict[str, Any] = {
            "format": {"type": "audio/pcm", "rate": self.rate_hz},
            "transcription": _transcription(settings, model),
            "turn_detection": _turn_detection(settings, turns),
        }
        if settings.noise_reduction is not None:
            audio["noise_reduction"] = {"type": settings.noise_reduction}
        return with_overrides({"type": "transcription", "audio": {"input": audio}}, settings.extra)


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
    return transcription


def _turn_detection(settings: SessionSettings, turns: TurnDetection) -> dict[str, object] | None:
    match turns:
        case "server_vad":
            # Every number, always: the defaults differ between providers, and between a provider's words and deeds.
            return {
                "type": "server_vad",
                "threshold": settings.vad_threshold,
                "prefix_padding_ms": settings.prefix_ms,
                "silence_duration_ms": settings.silence_ms,
            }
        case "semantic_vad":
            return {"type": "semantic_vad", "eagerness": "auto"}
        case _:
            # An explicit null: left out, the endpoint's own default is on.
            return None
