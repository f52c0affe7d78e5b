"""A key or a token from a file: whole, or one clear error that never contains it."""

from __future__ import annotations

import io
import os
import threading
from typing import TYPE_CHECKING

import pytest

from rt_cli.config.secret_file import read_secret, read_secret_file
from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

LONGEST = 1 << 14


@pytest.mark.parametrize(
    "content",
    [b"s3cr3t", b"s3cr3t\n", b"\xef\xbb\xbfs3cr3t\r\n", b"  s3cr3t  \n\n"],
    ids=["bare", "line", "bom", "space"],
)
def test_secret_is_the_content(tmp_path: Path, content: bytes) -> None:
    """Without white space around it, and without a byte order mark."""
    (tmp_path / "file").write_bytes(content)
    assert read_secret_file(tmp_path / "file", "token", "--token-file") == "s3cr3t"


def test_longest_secret_is_whole() -> None:
    """A longer one is refused, and never cut."""
    assert read_secret(io.BytesIO(b"x" * LONGEST), "key", "stdin") == "x" * LONGEST
    with pytest.raises(UsageError, match="stdin is too long for a key"):
        read_secret(io.BytesIO(b"x" * (LONGEST + 1)), "key", "stdin")


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"", "is empty"), (b"\n", "is empty"), (b"s3cr3t\ns3cr3t\n", "has characters"), (b"s3cr3t\xff", "is not text")],
    ids=["empty", "blank", "two lines", "binary"],
)
def test_content_that_is_no_secret(tmp_path: Path, content: bytes, expected: str) -> None:
    """The message names the file, and does not show the content."""
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UsageError, match=expected) as caught:
        read_secret_file(tmp_path / "file", "token", "--token-file")
    assert "the token file" in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    """The hint names the option."""
    for path in (tmp_path / "missing", tmp_path, tmp_path / "nul\0"):
        with pytest.raises(UsageError, match="cannot read the token file") as caught:
            read_secret_file(path, "token", "--token-file")
        assert "--token-file" in (caught.value.hint or "")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_secret_from_a_named_pipe(tmp_path: Path) -> None:
    """As ``<(pass show rt)`` gives it, in two pieces."""
    os.mkfifo(tmp_path / "pipe")

    def write() -> None:
        with (tmp_path / "pipe").open("wb", buffering=0) as pipe:
            pipe.write(b"s3c")
            pipe.write(b"r3t\n")

    writer = threading.Thread(target=write)
    writer.start()
    assert read_secret_file(tmp_path / "pipe", "key", "--api-key-file") == "s3cr3t"
    writer.join(10)
