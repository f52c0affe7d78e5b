"""Client and server messages for a log: one line, no audio, no key, no control character. Pure."""

from __future__ import annotations

import re

from rt_cli.protocol.message import Binary
from rt_cli.protocol.openai.encode import appended_bytes, decoded_size
from rt_cli.protocol.sanitize import masked, printable

_MAX_LOG_CHARS = 500
_AUDIO_FIELD = re.compile(r'("audio"\s*:\s*")([^"\\]*+(?:\\.[^"\\]*+)*+)')
_DELTA_FIELD = re.compile(r'("delta"\s*:\s*")([^"\\]*+(?:\\.[^"\\]*+)*+)')
_AUDIO_DELTA = re.compile(r'"type"\s*:\s*"response\.(?:output_)?audio\.delta"')
_LONG_BASE64 = re.compile(r"()([A-Za-z0-9+/\\]{200,}+={0,2})")


def shown(message: str | bytes) -> str:
    """Format a client or server message for a log: one line, no audio, no key, no control character.

    Audio is replaced by its decoded size, ``<4800 B>``; the text is cut after 500 characters.
    """
    if isinstance(message, Binary):
        return f"<{len(message)} B>"
    if isinstance(message, bytes):
        if (size := appended_bytes(message)) is not None:
            return f'{{"type":"input_audio_buffer.append","audio":"<{size} B>"}}'
        try:
            message = message.decode()
        except UnicodeDecodeError:
            return f"<{len(message)} B>"
    text = _AUDIO_FIELD.sub(_size, message)
    if _AUDIO_DELTA.search(text):
        text = _DELTA_FIELD.sub(_size, text)
    text = printable(masked(_LONG_BASE64.sub(_size, text)))
    return text if len(text) <= _MAX_LOG_CHARS else f"{text[:_MAX_LOG_CHARS]}... of {len(message)} characters"


def _size(found: re.Match[str]) -> str:
    return f"{found[1]}<{decoded_size(found[2].replace(chr(92), '').encode('ascii', 'replace'))} B>"
