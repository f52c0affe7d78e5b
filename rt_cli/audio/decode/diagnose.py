"""What is wrong with a file of sound, and the words for it. Pure."""

from __future__ import annotations

import codecs
from shlex import quote

from rt_cli.errors import AudioError

_RIFF_HEAD = 8
_STREAMED_RIFF = 0x7F000000
"""From here on a RIFF length is a placeholder: programs that write into a pipe put 2 or 4 GiB there."""
_SLOPPY_BYTES = 64
"""Some programs count their own header, or padding, in."""
_SEGMENT = b"\x18S\x80g"
"""The identifier of what holds all the rest of a Matroska file; its length is next."""
_FOREIGN = {
    (4, b"ftyp"): "MP4",
    (0, b"\x1aE\xdf\xa3"): "Matroska or WebM",
    (8, b"AVI "): "AVI",
    (0, b"0&\xb2u"): "WMA",
    (0, b"FLV"): "FLV",
    (0, b"#!AMR"): "AMR",
    (0, b"\xff\xf1"): "AAC",
    (0, b"\xff\xf9"): "AAC",
}
"""What people have and libsndfile cannot read; by position and bytes."""
_NATIVE = (b"RIFF", b"RF64", b"BW64", b"fLaC", b"OggS", b"ID3", b"FORM", b"caff", b".snd")
"""Beginnings of what it can."""


def missing_bytes(head: bytes, size: int) -> int:
    """How much shorter a file is than its header says; 0 where it does not say, or was written before anybody knew.

    Args:
        head: The first bytes of the file, some hundred.
        size: Of the whole file, bytes.
    """
    if head.startswith(b"RIFF"):
        promised = int.from_bytes(head[4:8], "little")
        promised = 0 if promised >= _STREAMED_RIFF else promised + _RIFF_HEAD
    else:
        promised = _matroska_bytes(head)
    missing = promised - size
    return missing if missing > _SLOPPY_BYTES else 0


def _matroska_bytes(head: bytes) -> int:
    """How long a Matroska file says that it is; 0 for anything else."""
    at = head.find(_SEGMENT) + len(_SEGMENT)
    if foreign(head) != "Matroska or WebM" or at < len(_SEGMENT) or at == len(head):
        return 0
    # The zeros before the first one of the bits say how many bytes the number has; all ones is unknown.
    width = 9 - head[at].bit_length()
    bits = 7 * width
    length = int.from_bytes(head[at : at + width], "big") & ((1 << bits) - 1)
    return 0 if width > 8 or length == (1 << bits) - 1 else at + width + length  # noqa: PLR2004 - bytes of a number


def foreign(head: bytes) -> str | None:
    """What a file is that libsndfile cannot read, if that is known."""
    return next((kind for (at, magic), kind in _FOREIGN.items() if head[at:].startswith(magic)), None)


def is_text(head: bytes) -> bool:
    """Whether the first bytes are words."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return b"\0" not in head


def silent() -> AudioError:
    """A file without sound."""
    return AudioError("holds no audio", "its header is fine, but nothing follows it")


def cut_short(missing: int) -> str:
    """How a file that has fewer bytes than its header promises is."""
    return f"cut short: {missing} bytes that its header promises are not there"


def broken(at_s: float, reason: str) -> AudioError:
    """A file that is heard up to a place.

    Args:
        at_s: The place, seconds.
        reason: What the library says.
    """
    reason = reason.removeprefix("Error :").strip(" .")
    return AudioError(f"cannot be decoded beyond {at_s:.1f} s ({reason})", "the file is damaged there")


def unreadable(path: str, head: bytes, reason: str, *, tried: bool) -> AudioError:
    """A file that cannot be opened.

    Args:
        path: For the command that may help.
        head: Its first bytes.
        reason: What libsndfile says.
        tried: Whether libav has been asked, too.
    """
    pipe = f"ffmpeg -i {quote(path)} -f wav - | rt send -"
    kind = foreign(head)
    if kind is None and head.startswith(_NATIVE):
        return AudioError(f"its header is damaged ({reason.rstrip('.')})", "record or fetch it again")
    if not tried:
        what = "is in no format that can be read" if kind is None else f"{kind} cannot be read"
        return AudioError(what, f"pip install 'rt-cli[media]', or convert it: {pipe}")
    if kind is None:
        return AudioError("is in no format that can be read", f"convert it: {pipe}")
    return AudioError(f"is a damaged or incomplete {kind} file", "record or fetch it again")
