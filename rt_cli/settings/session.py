"""``[session]``: language, words and turns, as the endpoint is asked for them."""

from dataclasses import dataclass
from typing import Literal

from rt_cli.settings.declaration import ALL, BENCH, CONVERSATION, TALK, setting

TurnDetection = Literal["server_vad", "semantic_vad", "client", "none"]
"""Turn detection: by the endpoint (speech energy or meaning), by ``rt``, or none."""
SessionType = Literal["transcription", "realtime"]
"""A session that only transcribes, or a conversation that is only listened to."""
Delay = Literal["minimal", "low", "medium", "high", "xhigh"]
NoiseReduction = Literal["near_field", "far_field"]


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """Session parameters for the endpoint."""

    language: str | None = setting(
        None,
        "--language --lang -l CODE",
        "Spoken language, as en or English.",
        doc='The language that is spoken, as ISO 639-1 ("en") or by its name ("English"); some models take several '
        '("en,de").',
        auto="the model finds out",
        commands=ALL | TALK,
        everyday=True,
        changes_result=True,
    )
    translate: str | None = setting(
        None,
        "--translate CODE",
        "Into this language, as es or Spanish.",
        doc="The language that the endpoint translates to, as ISO 639-1 or by its name.",
        only="rt",
        everyday=True,
        changes_result=True,
    )
    prompt: str | None = setting(
        None,
        "--prompt TEXT",
        "Words and names to expect.",
        doc="Words of context for the model.",
        auto="none",
        commands=BENCH | TALK,
        everyday=True,
        changes_result=True,
    )
    keyterm: tuple[str, ...] = setting(
        (),
        "--keyterm TEXT",
        "A word or name to expect; repeatable.",
        doc="Words and names that the model is to expect, as a list; those of all layers count.",
        commands=BENCH,
        changes_result=True,
    )
    delay: Delay | None = setting(
        None,
        "--delay HOW",
        "{choices:, }.",
        doc="How long the model waits for more sound before it writes: the longer, the fewer mistakes.",
        auto="the model's own",
        commands=BENCH,
        changes_result=True,
    )
    confidence: bool = setting(
        False,
        "--confidence",
        "Ask how sure the model is of its words.",
        doc="Ask the endpoint for the probabilities of the words.",
        changes_result=True,
    )
    turn_detection: TurnDetection | None = setting(
        None,
        "--turn-detection WHO",
        "{choices}.",
        doc="Who makes the turns: the endpoint (server_vad by energy, semantic_vad by meaning), rt (client), or nobody "
        "(none: all is one turn).",
        auto="the endpoint if the model can, else rt",
        commands=ALL | TALK,
        changes_result=True,
    )
    session_type: SessionType | None = setting(
        None,
        "--session KIND",
        "{choices}.",
        doc="What the endpoint is asked for: a transcription, or a conversation that is only listened to, without "
        "replies.",
        auto="a transcription; a conversation where the endpoint has nothing else",
        commands=ALL,
        changes_result=True,
    )
    vad_threshold: float = setting(
        0.5,
        "--vad-threshold P",
        "Speech from here, {low}..{high} [{default}].",
        doc="How sure of speech the detector must be: a probability.",
        low=0,
        high=1,
        commands=BENCH | TALK,
        changes_result=True,
    )
    silence_ms: int = setting(
        500,
        "--silence-ms MS",
        "Silence that ends a turn [{default}].",
        doc="Silence that ends a turn.",
        low=50,
        high=60_000,
        commands=BENCH | TALK,
        changes_result=True,
    )
    prefix_ms: int = setting(
        300,
        "--prefix-ms MS",
        "Audio kept before speech [{default}].",
        doc="Sound kept from before the start of speech.",
        low=0,
        high=10_000,
        commands=BENCH | TALK,
        changes_result=True,
    )
    max_turn_s: float = setting(
        30.0,
        "--max-turn TIME",
        "Longest turn rt makes itself [{default}].",
        doc="The longest turn that rt makes itself.",
        low=1,
        high=3600,
        commands=BENCH | TALK,
        changes_result=True,
    )
    noise_reduction: NoiseReduction | None = setting(
        None,
        "--noise-reduction KIND",
        "{choices:, }.",
        doc="Noise reduction by the endpoint, for a microphone that is near or far.",
        auto="none",
        commands=BENCH | TALK,
        changes_result=True,
    )
    extra: tuple[tuple[str, object], ...] = setting(
        (),
        "--set PATH=VALUE",
        "Any field of the session object.",
        doc="Anything else of the endpoint's session object, by its path, as --set does; applied last.",
        sample='"audio.input.transcription.delay" = "low"',
        commands=ALL | CONVERSATION,
        changes_result=True,
    )
