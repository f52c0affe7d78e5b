"""The bytes of the tape: what goes in comes out, from memory or disk, and what cannot be kept is said to be lost."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_cli.audio.format import silence
from rt_cli.timeline import sample_store as store_module
from rt_cli.timeline.sample_store import SampleStore

if TYPE_CHECKING:
    from typing_extensions import Buffer

ROOMY = 1 << 40


def sound(start: int, end: int) -> bytes:
    """Samples that tell their own position, so that no two stretches are alike."""
    return b"".join((at % 65_521 + 1).to_bytes(2, "little") for at in range(start, end))


Step = tuple[str, int]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 40)),
        st.tuples(st.just("skip"), st.integers(0, 40)),
        st.tuples(st.just("release"), st.integers(0, 60)),
        st.tuples(st.just("read"), st.integers(0, 60)),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(steps=steps, memory=st.integers(1, 100), limit=st.integers(50, 400), file_bytes=st.integers(1, 200))
def test_what_is_stored_reads_back(steps: list[Step], memory: int, limit: int, file_bytes: int) -> None:
    """Whatever is appended, skipped and released, each position reads as what was stored there, or as silence."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_module, "_FILE_BYTES", file_bytes)
        store, model, released = SampleStore(memory=memory, limit=limit), bytearray(), 0
        for what, count in steps:
            match what:
                case "append":
                    pcm = sound(store.end, store.end + count)
                    model += pcm if store.append(pcm) else silence(count)
                case "skip":
                    store.skip(count)
                    model += silence(count)
                case "release":
                    released = min(released + count, store.end)
                    store.release(released)
                case _:
                    start, end = released, min(released + count, store.end)
                    assert store.read(start, end) == model[2 * start : 2 * end]
        assert store.end == len(model) // 2
        assert store.read(released, store.end) == model[2 * released :]
        store.close()


def test_old_samples_go_to_disk() -> None:
    """Beyond its memory the store keeps no more than a chunk of it there."""
    store = SampleStore(memory=100, limit=ROOMY)
    for at in range(0, 10_000, 50):
        store.append(sound(at, at + 50))
        assert store._in_memory <= 200

    assert store.read(0, 10_000) == sound(0, 10_000)
    store.close()


def test_files_end_when_their_samples_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that lags for days needs no more disk than what it keeps, and the file that is being written."""
    monkeypatch.setattr(store_module, "_FILE_BYTES", 1000)
    before = _open_files()
    store = SampleStore(memory=50, limit=ROOMY)
    for at in range(0, 100_000, 50):
        store.append(sound(at, at + 50))
        store.release(at - 2000)
        assert _open_files() - before <= 7
    store.close()

    assert _open_files() == before


def test_a_gap_costs_nothing() -> None:
    """Eight hours of a suspended laptop take neither memory nor the room of what is captured after them."""
    store = SampleStore(memory=100, limit=1000)
    store.append(sound(0, 10))
    store.skip(8 * 3600 * 24_000)
    end = store.end

    assert store.append(sound(0, 900))
    assert store.read(end - 5, end + 5) == silence(5) + sound(0, 5)
    assert store._kept == 2 * 910
    store.close()


def test_the_limit_refuses_the_newest() -> None:
    """At the limit the new samples are refused as a whole, and what was kept stays."""
    store = SampleStore(memory=ROOMY, limit=100)

    assert store.append(sound(0, 90))
    assert not store.append(sound(90, 101))
    assert store.append(sound(101, 111))
    assert store.read(0, 111) == sound(0, 90) + silence(11) + sound(101, 111)


def test_released_room_can_be_used_again() -> None:
    """A store that was full takes more once the oldest samples are settled."""
    store = SampleStore(memory=10, limit=100)
    for at in range(0, 100, 10):
        store.append(sound(at, at + 10))
    assert not store.append(sound(100, 110))
    store.release(50)

    assert store.append(sound(110, 160))
    store.close()


class _SmallDisk(io.BytesIO):
    """A file on a disk with little room: it takes a part, then refuses, as disks do."""

    def __init__(self, room: list[int]) -> None:
        super().__init__()
        self._room = room

    def write(self, data: Buffer) -> int:
        taken = min(len(memoryview(data)), self._room[0], 7)
        if not taken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._room[0] -= taken
        return super().write(memoryview(data)[:taken])


@settings(deadline=None)
@given(room=st.integers(0, 2000), chunks=st.lists(st.integers(1, 40), max_size=60))
def test_a_full_disk_loses_only_what_is_refused(room: int, chunks: list[int]) -> None:
    """Where the disk fills up half-way through a write, everything that was taken before is still there."""
    left = [room]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "TemporaryFile", lambda **_: _SmallDisk(left))
        store, model = SampleStore(memory=64, limit=ROOMY), bytearray()
        for count in chunks:
            pcm = sound(store.end, store.end + count)
            model += pcm if store.append(pcm) else silence(count)
            assert store._in_memory <= 2 * 64
        assert store.read(0, store.end) == model
        store.close()


def test_a_disk_with_room_again_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is no verdict for ever: once there is room the store takes samples again."""
    left = [0]
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: _SmallDisk(left))
    store = SampleStore(memory=10, limit=ROOMY)
    store.append(sound(0, 10))
    assert not store.append(sound(10, 20))
    left[0] = 1000

    assert store.append(sound(20, 30))
    assert store.read(0, 30) == sound(0, 10) + silence(10) + sound(20, 30)
    store.close()


_UNDER_A_FILE_LIMIT = """
import resource
from rt_cli.timeline.tape import Tape
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
tape = Tape(8000, memory_s=10)
dropped = []
for second in range(60):
    dropped += tape.append(bytes([second + 1]) * 16_000)
assert tape.ledger().balanced
lost = {second for hole in dropped for second in range(hole.start // 8000, hole.end // 8000)}
assert lost and all(hole.reason == "full" for hole in dropped), dropped
for second in range(60):
    expected = bytes(16_000) if second in lost else bytes([second + 1]) * 16_000
    assert tape.read(second * 8000, (second + 1) * 8000) == expected, second
assert tape.dropped == len(lost) * 8000
tape.close()
print(60 - len(lost))
"""


@pytest.mark.skipif(os.name != "posix", reason="file size limits are POSIX")
def test_a_real_limit_on_files_makes_holes() -> None:
    """Under a limit of the operating system all sound is on the tape, or in a hole with its exact range."""
    done = subprocess.run([sys.executable, "-c", _UNDER_A_FILE_LIMIT], capture_output=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr.decode()
    assert int(done.stdout) >= 10


def _open_files() -> int:
    folder = Path("/proc/self/fd")
    return sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0
