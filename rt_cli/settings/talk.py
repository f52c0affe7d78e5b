"""``[talk]``: conversations: who replies, how, and what may be run for it."""

from dataclasses import dataclass

from rt_cli.settings.declaration import CONVERSATION, TALK, setting


@dataclass(frozen=True, slots=True)
class TalkSettings:
    """Conversations."""

    voice: str | None = setting(
        None,
        "--voice NAME",
        "Voice of the replies.",
        doc="The voice of the replies, as the endpoint names it.",
        auto="the endpoint's own",
        commands=CONVERSATION | {"bench"},
        everyday=True,
    )
    instructions: str | None = setting(
        None,
        "--instructions TEXT",
        "What the model is told before.",
        doc="What the model is told before the conversation.",
        auto="the endpoint's own",
        commands=CONVERSATION | {"bench"},
        everyday=True,
    )
    no_audio: bool = setting(
        False,
        "--no-audio",
        "Replies are text.",
        doc="Replies are text, without sound.",
        commands=TALK | {"ask"},
        everyday=True,
    )
    transcription_model: str | None = setting(
        None,
        "--transcription-model NAME",
        "Writes down what you say.",
        doc="The model that writes down what the user says in a conversation.",
        auto="the provider's, at OpenAI gpt-4o-mini-transcribe; the recogniser of the embedded endpoint",
        commands=CONVERSATION | {"bench"},
    )
    reply_timeout_s: float = setting(
        30.0,
        "--reply-timeout TIME",
        "Longest wait for a reply [{default}].",
        doc="How long a scripted user waits for a reply, or for more of it.",
        low=0.1,
        high=3600,
        commands=CONVERSATION | {"bench"},
    )
    tool_timeout_s: float = setting(
        30.0,
        "--tool-timeout TIME",
        "Longest run of a tool [{default}].",
        doc="How long a tool of a conversation may run.",
        low=0.1,
        high=3600,
        commands=TALK,
    )
