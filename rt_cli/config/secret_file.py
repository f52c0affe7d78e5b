"""Read a key or a token from a file or a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from rt_cli.errors import UsageError
from rt_cli.protocol.endpoint.key_source import clean_key
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST = 1 << 14
"""Bytes. No header of a request may be longer."""


def read_secret_file(path: Path, what: str, option: str) -> str:
    """Return the secret that is the whole content of a file.

    Args:
        path: Path of the file.
        what: ``key`` or ``token``, for messages.
        option: The option that names the file.

    Raises:
        UsageError: The file cannot be read, or its content cannot be a key. The message never contains the secret.
    """
    name = f"the {what} file {printable(str(path))}"
    try:
        with path.open("rb") as file:
            return read_secret(file, what, name)
    except (OSError, ValueError) as exc:
        problem = getattr(exc, "strerror", None) or "it is no path"
        raise UsageError(f"cannot read {name}: {problem}", f"check {option}") from None


def read_secret(file: BinaryIO, what: str, name: str) -> str:
    """Return the secret that is the whole content of an open file. Blocks until its end.

    Args:
        file: The open file.
        what: ``key`` or ``token``, for messages.
        name: Name of the file, for messages.

    Raises:
        UsageError: The content cannot be a key.
        OSError: The file cannot be read.
    """
    data = file.read(_LONGEST + 1)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{name} is not text", f"it must hold the {what} and nothing else") from None
    if len(data) > _LONGEST:
        raise UsageError(f"{name} is too long for a {what}", f"it must hold the {what} and nothing else")
    return clean_key(text, name)
