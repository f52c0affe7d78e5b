"""Find out why an audio file cannot be read, and build the error. Pure."""

from __future__ import annotations

from shlex import quote

from rt_cli.audio.decode.recognise import recognise
from rt_cli.errors import AudioError

TOLERANCE_S = 0.1
"""Lengths may differ by this much: padding, and delays of encoders."""
_RIFF_HEAD = 8
_STREAMED_RIFF = 0x7F000000
"""RIFF lengths from here on are placeholders: programs that write into a pipe put 2 or 4 GiB there."""
_TOLERANCE_BYTES = 64
"""Tolerance for programs that add their own header, or padding, to the length."""
_SEGMENT = b"\x18S\x80g"
"""EBML identifier of the Matroska segment, which contains the rest of the file; its length follows."""
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
"""Identifier of the ASF object that holds the size of the file."""
_NATIVE_FORMATS = {"FLAC", "Ogg", "CAF", "AIFF", "MP3", "NIST", "IRCAM", "PVF", "AVR", "text"}
_NATIVE_SIGNATURES = (b"RIFF", b"RF64", b"BW64", b"fLaC", b"OggS", b"ID3", b"FORM", b"caff", b".snd")
"""Signatures of formats that libsndfile can read."""


def missing_bytes(head: bytes, size: int) -> int:
    """Return by how many bytes a file is shorter than its header says.

    Args:
        head: The first bytes of the file, some hundred.
        size: Size of the whole file in bytes.

    Returns:
        Missing bytes; 0 if the header has no length or a placeholder.
    """
    if head.startswith(b"RIFF"):
        expected = int.from_bytes(head[4:8], "little")
        expected = 0 if expected >= _STREAMED_RIFF else expected + _RIFF_HEAD
    else:
        expected = _asf_bytes(head) or _matroska_bytes(head)
    missing = expected - size
    return missing if missing > _TOLERANCE_BYTES else 0


def _asf_bytes(head: bytes) -> int:
    """Length in bytes that the header of an ASF (WMA) file states; 0 for other formats and for broadcasts."""
    at = head.find(_ASF_PROPERTIES) if foreign_format(head) == "WMA" else -1
    fields = head[at + 40 : at + 92]
    if at < 0 or len(fields) < 52 or fields[48] & 1:  # noqa: PLR2004 - the flag of a broadcast
        return 0
    return int.from_bytes(fields[:8], "little")


def _matroska_bytes(head: bytes) -> int:
    """Length in bytes that the header of a Matroska file states; 0 for other formats or an unknown length."""
    at = head.find(_SEGMENT) + len(_SEGMENT)
    if foreign_format(head) != "Matroska or WebM" or at < len(_SEGMENT) or at == len(head):
        return 0
    # EBML number: the count of leading zero bits gives its length in bytes; all ones means unknown.
    width = 9 - head[at].bit_length()
    bits = 7 * width
    length = int.from_bytes(head[at : at + width], "big") & ((1 << bits) - 1)
    return 0 if width > 8 or length == (1 << bits) - 1 else at + width + length  # noqa: PLR2004 - bytes of an EBML number


def foreign_format(head: bytes) -> str | None:
    """Return the name of a known format that libsndfile cannot read; None for anything else."""
    kind = recognise(head)
    return None if kind in _NATIVE_FORMATS else kind


def no_audio() -> AudioError:
    """Build the error for a file without audio."""
    return AudioError("holds no audio", "its header is fine, but nothing follows it", code="empty")


def missing_bytes_error(at_s: float, missing: int) -> AudioError:
    """Build the error for a file that is some bytes shorter than its header says.

    Args:
        at_s: Where it ends, seconds.
        missing: How much is missing, bytes.
    """
    message = f"ends at {at_s:.1f} s, cut short: {missing} bytes that its header announces are missing"
    return AudioError(message, "fetch it again", code="truncated")


def missing_error(at_s: float, missing_s: float, what: str = "its header announces") -> AudioError:
    """Build the error for a file that ends too early.

    Args:
        at_s: Where it ends, seconds.
        missing_s: How much is missing, seconds.
        what: Who announces it.
    """
    message = f"ends at {at_s:.1f} s: {missing_s:.1f} s more that {what} are missing"
    return AudioError(message, "it was cut short: fetch it again", code="truncated")


def behind_error(at_s: float, behind: int) -> AudioError:
    """Build the error for a file with bytes behind its sound that may be sound and cannot be read.

    Args:
        at_s: Where the sound ends, seconds.
        behind: How much is behind it, bytes.
    """
    message = f"ends at {at_s:.1f} s, but {behind} bytes behind the sound cannot be read"
    return AudioError(message, "split the file, or fetch it again", code="damaged")


def cut_error(at_s: float, what: str) -> AudioError:
    """Build the error for a file without its end, of a format that does not state its length.

    Args:
        at_s: Where it ends, seconds.
        what: How its end shows that there was more.
    """
    return AudioError(f"ends at {at_s:.1f} s, cut short: {what}", "fetch it again", code="truncated")


def decode_error(at_s: float, reason: str) -> AudioError:
    """Build the error for a file that can be decoded only up to a position.

    Args:
        at_s: The position in seconds.
        reason: Error text of the decoding library.
    """
    reason = reason.removeprefix("Error :").strip(" .")
    return AudioError(f"cannot be decoded beyond {at_s:.1f} s ({reason})", "the file is damaged there", code="damaged")


def open_error(path: str, head: bytes, reason: str, *, libav_failed: bool) -> AudioError:
    """Build the error for a file that cannot be opened.

    Args:
        path: Path of the file, for the command in the hint.
        head: The first bytes of the file.
        reason: Error text of libsndfile.
        libav_failed: True if libav could not open the file either; False if PyAV is not installed.
    """
    pipe = f"ffmpeg -i {quote(path)} -f wav - | rt send -"
    kind = foreign_format(head)
    if kind is None and head.startswith(_NATIVE_SIGNATURES):
        more = "" if libav_failed else ", or pip install 'rt-cli[media]', which reads more of such files"
        return AudioError(f"its header is damaged ({reason.rstrip('.')})", f"record or fetch it again{more}")
    if not libav_failed:
        what = "is in no format that can be read" if kind is None else f"{kind} cannot be read"
        return AudioError(what, f"pip install 'rt-cli[media]', or convert it: {pipe}")
    if kind is None:
        return AudioError("is in no format that can be read", f"convert it: {pipe}")
    return AudioError(f"is a damaged or incomplete {kind} file", "record or fetch it again")
