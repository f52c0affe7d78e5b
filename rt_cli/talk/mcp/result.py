"""The result of a call of a server, as text for the model. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mcp_types import (
    AudioContent,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from rt_cli.talk.tools.run_tool import MAX_OUTPUT_BYTES, ToolResult, failure

if TYPE_CHECKING:
    from mcp_types import CallToolResult, ContentBlock

_MAX_ERROR_CHARS = 500
EXIT_FAILED = 1
"""In place of the exit code of a program."""


def tool_result(result: CallToolResult) -> ToolResult:
    """Return texts as they are, and a note for everything that a model cannot read; at most 32 KiB.

    Without any text the structured result takes its place; without that, too, it is an error.
    """
    texts = [text for block in result.content if (text := _text(block)) is not None]
    if not texts and result.structured_content is not None:
        texts = [json.dumps(result.structured_content, ensure_ascii=False)]
    if result.is_error:
        said = "\n".join(texts)[:_MAX_ERROR_CHARS].strip()
        return failure(f"it failed: {said}" if said else "it failed", EXIT_FAILED)
    notes = [_note(block) for block in result.content if _text(block) is None]
    if notes and not texts:
        return failure(f"its result cannot be read: {', '.join(notes)}"[:_MAX_ERROR_CHARS], EXIT_FAILED)
    return ToolResult(0, _cut("\n".join([*texts, *(f"[{note}]" for note in notes)])))


def _text(block: ContentBlock) -> str | None:
    """Return the text of a part of a result; None for sound, images and other bytes."""
    match block:
        case TextContent(text=text) | EmbeddedResource(resource=TextResourceContents(text=text)):
            return text
        case ResourceLink(uri=uri):
            return str(uri)
    return None


def _note(block: ContentBlock) -> str:
    match block:
        case ImageContent(mime_type=kind) | AudioContent(mime_type=kind):
            return f"{block.type} of type {kind[:100]}, left out"
        case EmbeddedResource(resource=resource):
            return f"resource of type {(resource.mime_type or 'unknown')[:100]}, left out"
    return f"{block.type}, left out"


def _cut(text: str) -> str:
    return text.encode("utf-8", "replace")[:MAX_OUTPUT_BYTES].decode("utf-8", "ignore")
