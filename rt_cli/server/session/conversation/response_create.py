"""What a response is asked to be: ``response.create`` over the session's settings. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rt_cli.server.session.conversation.reply_config import FIELDS, OUTPUT
from rt_cli.server.session.conversation.response import ResponseSettings
from rt_cli.server.session.validate import anything, fields, list_of, mapping, nullable, text
from rt_cli.server.session.wire import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_INPUT = 1_024
_MAX_PAIRS = 16
_MAX_KEY = 64
_MAX_VALUE = 512


@dataclass(frozen=True, slots=True)
class ResponseRequest:
    """A checked ``response.create``."""

    settings: ResponseSettings
    input: list[Any] | None = None
    """Items and references to items, unchecked, in the place of the conversation; None: the conversation."""


def _metadata(value: Any, param: str) -> dict[str, str]:
    if len(mapping(value, param)) > _MAX_PAIRS:
        raise Rejected("invalid_value", f"{param} has more than {_MAX_PAIRS} pairs.", param)
    for name in value:
        text(_MAX_KEY)(name, f"{param}.{name[:_MAX_KEY]}")
    return {name: text(_MAX_VALUE)(item, f"{param}.{name}") for name, item in value.items()}


_RESPONSE = fields(
    {
        **FIELDS,
        "audio": nullable(fields({"output": nullable(OUTPUT, {})}), {}),
        "conversation": text(),
        "input": list_of(anything, _MAX_INPUT),
        "metadata": _metadata,
    }
)


def asked(response: object, replies: Mapping[str, Any], conversation_id: str, *, voice_fixed: bool) -> ResponseRequest:
    """What a ``response.create`` asks for.

    Args:
        response: Its ``response`` field; None, and null within it, stand for what is not given.
        replies: What the session says about replies, see :mod:`rt_cli.server.session.conversation.reply_config`.
        conversation_id: Of the default conversation.
        voice_fixed: The client has heard the voice, so it cannot change.

    Raises:
        Rejected: Something in it is unknown or wrong; nothing is created.
    """
    present = {
        name: value
        for name, value in mapping({} if response is None else response, "response").items()
        if value is not None
    }
    given = _RESPONSE(present, "response")
    output = {**replies["output"], **given.get("audio", {}).get("output", {})}
    conversation = given.get("conversation", "auto")
    if conversation not in {"auto", "none", conversation_id}:
        raise Rejected("invalid_value", "response.conversation must be auto or none.", "response.conversation")
    if voice_fixed and conversation != "none" and output["voice"] != replies["output"]["voice"]:
        message = "The voice cannot change once the assistant has been heard."
        raise Rejected("cannot_update_voice", message, "response.audio.output.voice")
    settings = {**replies, **{name: given[name] for name in FIELDS if name in given}}
    return ResponseRequest(
        _settings(settings, output, given.get("metadata"), conversation != "none"), given.get("input")
    )


def by_itself(replies: Mapping[str, Any]) -> ResponseRequest:
    """What is asked by the end of a turn."""
    return ResponseRequest(_settings(replies, replies["output"], None, in_conversation=True))


def _settings(
    fields_: Mapping[str, Any],
    output: Mapping[str, Any],
    metadata: Mapping[str, str] | None,
    in_conversation: bool,  # noqa: FBT001 - private, and named where it is called
) -> ResponseSettings:
    limit, voice = fields_["max_output_tokens"], output["voice"]
    return ResponseSettings(
        spoken=fields_["output_modalities"] == ["audio"],
        instructions=fields_["instructions"] or None,
        tools=tuple(fields_["tools"]),
        tool_choice=fields_["tool_choice"],
        voice=voice["id"] if isinstance(voice, dict) else voice,
        speed=float(output["speed"]),
        output_format=output["format"],
        max_output_tokens=None if limit == "inf" else limit,
        metadata=metadata,
        in_conversation=in_conversation,
    )
