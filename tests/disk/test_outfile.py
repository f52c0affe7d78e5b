"""Files are opened for writing in one way: nothing is replaced unasked, no FIFO is waited for, one error text."""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from rt_cli.config.show import write_example
from rt_cli.disk import outfile
from rt_cli.disk.outfile import PRIVATE, open_outfile, open_raw, prepare_folder, write_all
from rt_cli.disk.wav_writer import WavWriter
from rt_cli.errors import UsageError
from rt_cli.output.logs import Logs
from rt_cli.output.results.saved_results import SavedResults
from rt_cli.settings import OutputSettings
from rt_cli.streaming.transport.wire_recorder import WireRecorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

posix = pytest.mark.skipif(os.name != "posix", reason="no such files here")


def _ignore(*_: object) -> None:
    """Discard."""


WAYS: dict[str, Callable[[Path], Any]] = {
    "record": lambda path: WireRecorder(path, _ignore, audio=False, replace=False).close(),
    "log": lambda path: Logs(OutputSettings(log_file=str(path)), _ignore).close(5),
    "sound": lambda path: WavWriter(path).create(24_000, replace=False),
    "transcript": lambda path: SavedResults(OutputSettings(save_transcript=str(path)), ["a.wav"]).close(5),
    "config": lambda path: write_example(path, force=False),
    "report": lambda path: open_outfile(path, keep=True).close(),
    "folder": lambda path: SavedResults(OutputSettings(output_dir=str(path)), ["a.wav"]).close(5),
}
"""Everything that a user may name as an output."""


@posix
@pytest.mark.parametrize("way", sorted(set(WAYS)))
def test_a_fifo_without_a_reader_is_an_error_at_once(way: str, tmp_path: Path) -> None:
    """Exit 2 with one line, within a moment."""
    os.mkfifo(tmp_path / "fifo")
    errors: list[UsageError] = []

    def use() -> None:
        try:
            WAYS[way](tmp_path / "fifo")
        except UsageError as exc:
            errors.append(exc)

    user = threading.Thread(target=use, daemon=True)
    user.start()
    user.join(10)
    assert not user.is_alive(), "it waits for a reader"
    assert len(errors) == 1
    assert "\n" not in str(errors[0])


@posix
@pytest.mark.parametrize("name", ["x" * 300, "nul\0", "loop/a", "file/a", "loop"])
@pytest.mark.parametrize("way", sorted(set(WAYS)))
def test_names_that_cannot_be(way: str, name: str, tmp_path: Path) -> None:
    """Too long, with a NUL, in a circle of links, in a folder that is a file."""
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UsageError, match="cannot write"):
        WAYS[way](tmp_path / name)


@pytest.mark.parametrize("code", [errno.EDQUOT, errno.EIO, errno.EMFILE, errno.EACCES, errno.EROFS, errno.ENOSPC])
@pytest.mark.parametrize("way", sorted(set(WAYS)))
def test_the_system_may_refuse_the_opening(
    way: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the reason: a usage error that gives it."""

    def refuse(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as broken:
        broken.setattr(outfile.os, "open", refuse)
        with pytest.raises(UsageError, match=f"cannot write .*{os.strerror(code)}"):
            WAYS[way](tmp_path / "a")


@pytest.mark.parametrize("code", [errno.EDQUOT, errno.EIO, errno.ENOSPC])
def test_the_first_write_may_fail(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The head of a WAV file is written before anything is sent."""

    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("rt_cli.disk.wav_writer.write_all", refuse)
    with pytest.raises(UsageError, match=f"cannot write .*{os.strerror(code)}: save the sound elsewhere"):
        WavWriter(tmp_path / "a.wav").create(24_000, replace=False)


@posix
def test_a_fifo_with_a_reader_is_written(tmp_path: Path) -> None:
    """Later writes wait for the reader, as for any pipe."""
    os.mkfifo(tmp_path / "fifo")
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.append((tmp_path / "fifo").read_bytes()), daemon=True)
    reader.start()
    file = None
    while file is None:
        try:
            file = open_outfile(tmp_path / "fifo")
        except UsageError:
            os.sched_yield()
    write_all(file.fileno(), b"x" * 300_000)
    file.close()
    reader.join(10)
    assert heard == [b"x" * 300_000]


def test_content_is_replaced_only_on_request(tmp_path: Path) -> None:
    """An empty file, as mktemp makes it, counts as new; a refused file keeps its content and its mode."""
    path = tmp_path / "a"
    path.touch(mode=0o644)
    open_outfile(path, mode=PRIVATE).close()
    path.write_text("mine")
    with pytest.raises(UsageError, match="exists: choose another name, or --force to replace it"):
        open_outfile(path)
    assert path.read_text() == "mine"
    open_outfile(path, replace=True, keep=True).close()
    assert path.read_text() == "mine"
    with open_outfile(path, append=True) as file:
        file.write(b" too")
    assert path.read_text() == "mine too"
    open_outfile(path, replace=True).close()
    assert path.read_text() == ""


@posix
def test_what_was_said_is_private(tmp_path: Path) -> None:
    """A new recording and a new log are for their owner alone."""
    WAYS["record"](tmp_path / "record")
    WAYS["log"](tmp_path / "log")
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("record", "log")} == {PRIVATE}


@posix
def test_links_are_followed_only_where_the_user_named_them(tmp_path: Path) -> None:
    """A link that somebody else planted in a folder leads nowhere."""
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        open_raw(tmp_path / "link", replace=True, follow=False)
    assert (tmp_path / "mine").read_text() == "mine"
    open_raw(tmp_path / "link", replace=True).close()
    assert (tmp_path / "mine").read_text() == ""


def test_a_folder_is_tried_without_a_trace(tmp_path: Path) -> None:
    """It is made, and nothing is left in it."""
    prepare_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
