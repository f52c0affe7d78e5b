"""Validation of client items, by OpenAI's reference; without MCP and without assistant audio. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rt_cli.server.session.conversation.items import ROOT, Item, Shape, Sound
from rt_cli.server.session.validate import anything, by_type, fields, list_of, mapping, nullable, one_of, text
from rt_cli.server.session.wire import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rt_cli.server.session.validate import Check

MAX_CONTENT = 1_048_576
"""Most characters of a text, of function arguments or of a function output."""
MAX_IMAGE = 20 * 1_048_576
_MAX_ID = 64
_MAX_PARTS = 256
_IMAGES = ("data:image/png;base64,", "data:image/jpeg;base64,", "data:image/jpg;base64,")

_id = text(_MAX_ID, shortest=1)
_content = text(MAX_CONTENT)


def _image_url(value: Any, param: str) -> str:
    url: str = text(MAX_IMAGE)(value, param)
    if not url.startswith(_IMAGES):
        raise Rejected("invalid_value", f"{param} must be a data URI of a PNG or JPEG image.", param)
    return url


def _no_audio(_value: Any, param: str) -> Any:
    raise Rejected("invalid_value", "Audio of the assistant cannot be created; give its words as output_text.", param)


_TEXT_PART = fields({"type": anything, "text": _content}, required=("text",))
_PARTS: Mapping[str, Mapping[str, Check]] = {
    "user": {
        "input_text": _TEXT_PART,
        "input_audio": fields(
            {"type": anything, "audio": anything, "transcript": nullable(_content)}, required=("audio",)
        ),
        "input_image": fields(
            {"type": anything, "image_url": _image_url, "detail": nullable(one_of("auto", "low", "high"))},
            required=("image_url",),
        ),
    },
    "system": {"input_text": _TEXT_PART},
    "assistant": {"output_text": _TEXT_PART, "output_audio": _no_audio},
}
_COMMON: Mapping[str, Check] = {
    "id": nullable(_id),
    "object": nullable(one_of("realtime.item")),
    "type": anything,
    "status": nullable(one_of("completed", "incomplete", "in_progress")),
}


def _message(value: Any, param: str) -> Any:
    if "role" not in value:
        path = f"{param}.role"
        raise Rejected("missing_required_parameter", f"Missing required parameter: {path!r}.", path)
    role = one_of(*_PARTS)(value["role"], f"{param}.role")
    content = list_of(by_type(_PARTS[role]), _MAX_PARTS)
    return fields({**_COMMON, "role": anything, "content": content}, required=("content",))(value, param)


_ITEM = by_type(
    {
        "message": _message,
        "function_call": fields(
            {**_COMMON, "call_id": nullable(_id), "name": _content, "arguments": _content},
            required=("name", "arguments"),
        ),
        "function_call_output": fields({**_COMMON, "call_id": _id, "output": _content}, required=("call_id", "output")),
    }
)


def parse_item(
    value: object, param: str, new_id: Callable[[str], str], decode: Callable[[object, str], bytes], rate_hz: int
) -> Item:
    """Validate a client's item and fill in its defaults.

    Args:
        value: The item, untrusted.
        param: Its path in the event.
        new_id: Creates an id with a prefix, for example ``item``.
        decode: Decodes base64 in the client's format to s16le; gets the path as second argument; raises Rejected.
        rate_hz: Sample rate of that s16le.

    Raises:
        Rejected: A field is unknown, missing or invalid.
    """
    valid: dict[str, Any] = _ITEM(value, param)
    if valid.get("id") == ROOT:
        raise Rejected("invalid_value", f"{param}.id must not be {ROOT!r}: that is the beginning.", f"{param}.id")
    shape: Shape = {
        "id": valid.get("id") or new_id("item"),
        "object": "realtime.item",
        **{name: item for name, item in valid.items() if name not in _COMMON},
        "type": valid["type"],
        "status": "completed",
    }
    if shape["type"] == "function_call":
        shape["call_id"] = shape.get("call_id") or new_id("call")
    sounds: dict[int, Sound] = {}
    for index, part in enumerate(shape.get("content", ())):
        if part["type"] == "input_audio":
            pcm = decode(part.pop("audio"), f"{param}.content[{index}].audio")
            sounds[index] = sound(pcm, rate_hz, part.get("transcript"))
            part["transcript"] = part.get("transcript")
    return Item(shape, sounds)


def sound(pcm: bytes, rate_hz: int, words: str | None = None) -> Sound:
    """Build the sound of a content part from s16le."""
    return Sound(rate_hz, pcm, len(pcm) // 2, words)


def reference(value: object, param: str) -> str | None:
    """The id in an item reference; None if ``value`` is no reference.

    Raises:
        Rejected: The reference is invalid.
    """
    if not isinstance(value, dict) or value.get("type") != "item_reference":
        return None
    valid = fields({"type": anything, "id": _id}, required=("id",))(mapping(value, param), param)
    return str(valid["id"])
