"""Validation of ``response.create`` and its merge with the session's settings. Pure."""

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
    """A valid ``response.create``."""

    settings: ResponseSettings
    input: list[Any] | None = None
    """Items and item references, not validated, as context; None: the default conversation is the context."""


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


def parse(response: object, replies: Mapping[str, Any], conversation_id: str, *, voice_fixed: bool) -> ResponseRequest:
    """Validate a ``response.create``.

    Args:
        response: The ``response`` field; None or null fields mean: use the session's settings.
        replies: Reply settings of the session, see :mod:`rt_cli.server.session.conversation.reply_config`.
        conversation_id: Id of the default conversation.
        voice_fixed: The client has received audio in this voice, so the voice cannot change.

    Raises:
        Rejected: A field is unknown or invalid.
    """
    non_null = {
        name: value
        for name, value in mapping({} if response is None else response, "response").items()
        if value is not None
    }
    valid = _RESPONSE(non_null, "response")
    output = {**replies["output"], **valid.get("audio", {}).get("output", {})}
    conversation = valid.get("conversation", "auto")
    if conversation not in {"auto", "none", conversation_id}:
        raise Rejected("invalid_value", "response.conversation must be auto or none.", "response.conversation")
    if voice_fixed and conversation != "none" and output["voice"] != replies["output"]["voice"]:
        message = "The voice cannot change once the assistant has been heard."
        raise Rejected("cannot_update_voice", message, "response.audio.output.voice")
    settings = {**replies, **{name: valid[name] for name in FIELDS if name in valid}}
    return ResponseRequest(
        _settings(settings, output, valid.get("metadata"), conversation != "none"), valid.get("input")
    )


def automatic(replies: Mapping[str, Any]) -> ResponseRequest:
    """The request that the end of a turn creates."""
    return ResponseRequest(_settings(replies, replies["output"], None, in_conversation=True))


def _settings(
    fields_: Mapping[str, Any],
    output: Mapping[str, Any],
    metadata: Mapping[str, str] | None,
    in_conversation: bool,  # noqa: FBT001 - private
) -> ResponseSettings:
    limit, voice = fields_["max_output_tokens"], output["voice"]
    return ResponseSettings(
        with_audio=fields_["output_modalities"] == ["audio"],
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
