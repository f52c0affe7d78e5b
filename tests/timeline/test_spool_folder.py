"""Which folders a spool takes, what it makes of their modes and links, and what happens when the system refuses."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from rt_cli.errors import AudioError, UsageError
from rt_cli.timeline import spool as spool_module
from rt_cli.timeline.journal import SpoolSource
from rt_cli.timeline.resumed_source import open_resumed
from rt_cli.timeline.spool import JOURNAL, Spool
from tests.fakes import run

if TYPE_CHECKING:
    from pathlib import Path

RATE = 24_000
ORIGIN = SpoolSource(RATE, "microphone", "microphone")
posix = pytest.mark.skipif(os.name != "posix", reason="no such modes and links here")


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of each file, and the mode of the folder."""
    files = {path.name: (path.lstat().st_mode, path.read_bytes()) for path in folder.iterdir() if path.is_file()}
    return files | {".": (folder.stat().st_mode, b"")}


@posix
def test_the_mode_of_a_folder_that_is_there_stays(tmp_path: Path) -> None:
    """A spool in /tmp must not shut everybody else out; its files are private anyway."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    spool = Spool.create(folder, ORIGIN)
    spool.append(0, bytes(20))
    assert folder.stat().st_mode & 0o7777 == 0o1777
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    spool.close(delivered=False)


@pytest.mark.parametrize("name", ["notes.txt", "audio-000000000000000.pcm", ".hidden", "sub/"])
def test_a_folder_with_other_files_is_refused(name: str, tmp_path: Path) -> None:
    """Without a trace: no lock, no mode."""
    folder = tmp_path / "mine"
    folder.mkdir()
    if name.endswith("/"):
        (folder / name).mkdir()
    else:
        (folder / name).write_text("mine")
    before = snapshot(folder)
    with pytest.raises(UsageError, match="is not empty, and holds no spool: use an empty or a new folder"):
        Spool.create(folder, ORIGIN)
    assert snapshot(folder) == before


def test_what_a_kill_left_before_the_first_record_is_no_spool(tmp_path: Path) -> None:
    """A lock and a journal without a record hold nothing that could be lost."""
    (tmp_path / "lock").touch()
    (tmp_path / JOURNAL).touch()
    spool = Spool.create(tmp_path, ORIGIN)
    spool.append(0, bytes(20))
    spool.close(delivered=False)
    again, contents = Spool.reopen(tmp_path)
    again.close(delivered=False)
    assert contents.captured == 10


@posix
def test_the_folder_may_be_a_link(tmp_path: Path) -> None:
    """The user named it."""
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    spool = Spool.create(tmp_path / "link", ORIGIN)
    spool.append(0, bytes(20))
    spool.close(delivered=False)
    again, contents = Spool.reopen(tmp_path / "link")
    again.close(delivered=True)
    assert contents.captured == 10
    assert list((tmp_path / "there").iterdir()) == []


@posix
@pytest.mark.parametrize("name", ["lock", JOURNAL, "audio-000000000000000.pcm"])
@pytest.mark.parametrize("kind", ["link", "dangling", "fifo"])
def test_nothing_inside_is_followed(name: str, kind: str, tmp_path: Path) -> None:
    """A link or a FIFO that somebody planted between two steps is refused; its target stays."""
    victim = tmp_path / "victim"
    if kind != "dangling":
        victim.write_text("mine")
    folder = tmp_path / "spool"
    folder.mkdir()

    def plant() -> None:
        if kind == "fifo":
            os.mkfifo(folder / name)
        else:
            (folder / name).symlink_to(victim)

    if name.endswith("pcm"):
        spool = Spool.create(folder, ORIGIN)
        plant()
        with pytest.raises(OSError, match=r"."):
            spool.append(0, bytes(20))
        spool.close(delivered=False)
        again, contents = Spool.reopen(folder)
        assert contents.captured == 0
        assert list(again.read(0, 100)) == []
        again.close(delivered=False)
    else:
        plant()
        with pytest.raises(UsageError):
            Spool.create(folder, ORIGIN)
        with pytest.raises(UsageError):
            Spool.reopen(folder)
    assert victim.exists() == (kind != "dangling")
    assert kind == "dangling" or victim.read_text() == "mine"


@posix
@pytest.mark.parametrize("name", ["x" * 300, "file/spool", "loop", "nul\0", "file"])
def test_folders_that_cannot_be(name: str, tmp_path: Path) -> None:
    """Too long, below a file, a circle of links, a NUL, a file: usage errors."""
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UsageError, match="cannot make the spool folder"):
        Spool.create(tmp_path / name, ORIGIN)
    with pytest.raises(UsageError):
        Spool.reopen(tmp_path / name)


@pytest.mark.parametrize("code", [errno.EDQUOT, errno.EIO, errno.EMFILE, errno.EACCES, errno.ENOSPC])
@pytest.mark.parametrize("fails_at", [0, 1, 2])
def test_the_system_may_refuse(code: int, fails_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock, the journal, its first record: a usage error; and later the folder can be used."""
    folder, calls = tmp_path / "spool", iter(range(99))

    def failing(name: str, step: int) -> None:
        original = getattr(spool_module, name)

        def act(*arguments: object, **named: object) -> object:
            if next(calls) == step:
                raise OSError(code, os.strerror(code))
            return original(*arguments, **named)

        patch.setattr(spool_module, name, act)

    with monkeypatch.context() as patch:
        failing(*(("write_all", 0) if fails_at == 2 else ("open_raw", fails_at)))
        with pytest.raises(UsageError, match=os.strerror(code)):
            Spool.create(folder, ORIGIN)
    Spool.create(folder, ORIGIN).close(delivered=True)


def test_a_failed_write_does_not_spoil_the_next_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if the torn line cannot be taken back."""
    spool = Spool.create(tmp_path / "spool", ORIGIN)

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(spool_module, "write_all", refuse)
        with pytest.raises(OSError, match="Input"):
            spool.note({"type": "settled", "to": 5})
    with (tmp_path / "spool" / JOURNAL).open("ab") as journal:
        journal.write(b'{"type":"')  # the disk took a part, and did not let it be taken back
    spool.note({"type": "final", "turn": 1, "text": "x"}, {"type": "settled", "to": 7})
    spool.close(delivered=False)
    again, contents = Spool.reopen(tmp_path / "spool")
    again.close(delivered=False)
    assert (contents.settled, len(contents.finals), contents.missing) == (7, 1, 0)


def test_sound_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    """Another segment at the same position is in the way."""
    spool = Spool.create(tmp_path / "spool", ORIGIN)
    (tmp_path / "spool" / "audio-000000000000000.pcm").write_bytes(b"sound")
    with pytest.raises(FileExistsError):
        spool.append(0, bytes(20))
    spool.close(delivered=False)
    assert (tmp_path / "spool" / "audio-000000000000000.pcm").read_bytes() == b"sound"


def test_a_segment_that_cannot_be_read_is_an_audio_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 3, and the spool stays."""
    spool = Spool.create(tmp_path / "spool", ORIGIN)
    spool.append(0, bytes(20))
    spool.close(delivered=False)
    again, contents = Spool.reopen(tmp_path / "spool")

    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    async def scenario() -> None:
        source = await open_resumed(again, contents, RATE)
        with pytest.raises(AudioError, match="cannot be read: Input/output error"):
            [block async for block in source.blocks()]

    with monkeypatch.context() as failing:
        failing.setattr("os.open", broken)
        run(scenario())
    again.close(delivered=False)


@pytest.mark.parametrize("reason", ["refused", "overflow", "device_lost", "suspended", "full", "failed", "no_final"])
def test_each_known_reason_is_kept(reason: str, tmp_path: Path) -> None:
    """And a reason of tomorrow is a hole like others."""
    spool = Spool.create(tmp_path / "spool", ORIGIN)
    spool.note({"type": "hole", "start": 0, "end": 5, "reason": reason})
    spool.note({"type": "hole", "start": 5, "end": 9, "reason": "of tomorrow"})
    spool.close(delivered=False)
    again, contents = Spool.reopen(tmp_path / "spool")

    async def scenario() -> list[tuple[int, str]]:
        source = await open_resumed(again, contents, RATE)
        return [(block.lost, block.reason) async for block in source.blocks()]

    assert run(scenario()) == [(5, reason), (4, "full")]
    again.close(delivered=False)
