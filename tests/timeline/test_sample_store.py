"""The sample store returns what was appended, from memory or disk, and reports the samples that it cannot keep."""

from __future__ import annotations

import errno
import gc
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_cli.audio.format import silence
from rt_cli.disk.serial_thread import SerialThread
from rt_cli.timeline import sample_store as store_module
from rt_cli.timeline import spill as spill_module
from rt_cli.timeline.sample_store import SampleStore
from tests.memory import held, held_bytes

UNLIMITED = 1 << 40
needs_pwrite = pytest.mark.skipif(not hasattr(os, "pwrite"), reason="files have one position here")


def sound(start: int, end: int) -> bytes:
    """Samples whose values encode their positions, so that no two ranges are equal."""
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
    """After any appends, skips and releases, each position reads as the stored sample, or as silence if skipped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spill_module, "FILE_BYTES", file_bytes)
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


def thread_of(store: SampleStore) -> SerialThread | None:
    """Return the thread that writes; None before the first write."""
    return next((each for each in held(store) if isinstance(each, SerialThread)), None)


def written(store: SampleStore) -> None:
    """Wait until the thread has written all that it was given."""
    if (thread := thread_of(store)) is not None:
        done = threading.Event()
        thread.do(done.set)
        assert done.wait(30)
    store.append(b"")


def test_old_samples_go_to_disk() -> None:
    """Above its memory limit the store keeps at most one chunk more in memory."""
    store = SampleStore(memory=100, limit=UNLIMITED)
    for at in range(0, 10_000, 50):
        store.append(sound(at, at + 50))
        written(store)
        assert held_bytes(store) <= 200

    assert store.read(0, 10_000) == sound(0, 10_000)
    store.close()


def test_files_are_deleted_when_their_samples_are_released(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that lags for days uses disk only for its unreleased samples and the file that it writes."""
    monkeypatch.setattr(spill_module, "FILE_BYTES", 1000)
    before = _open_files()
    store = SampleStore(memory=50, limit=UNLIMITED)
    for at in range(0, 100_000, 50):
        store.append(sound(at, at + 50))
        store.release(at - 2000)
        if at % 500 == 0:
            written(store)
            assert _open_files() - before <= 8
    thread = thread_of(store)
    store.close()
    assert thread is not None
    assert thread.close(30)

    assert _open_files() == before


@pytest.mark.parametrize("memory", [50, 1 << 20])
def test_close_leaves_no_file_open(memory: int) -> None:
    """Whether the thread has written everything or nothing yet."""
    before = _open_files()
    for _ in range(30):
        store = SampleStore(memory=memory, limit=UNLIMITED)
        for at in range(0, 1000, 50):
            store.append(sound(at, at + 50))
        thread = thread_of(store)
        store.close()
        assert thread is None or thread.close(30)
    assert _open_files() == before


def test_a_gap_uses_no_memory() -> None:
    """A gap of eight hours uses neither memory nor a part of the limit."""
    store = SampleStore(memory=100, limit=1000)
    store.append(sound(0, 10))
    store.skip(8 * 3600 * 24_000)
    end = store.end

    assert store.append(sound(0, 900))
    assert store.read(end - 5, end + 5) == silence(5) + sound(0, 5)
    assert not store.append(sound(0, 91))
    assert store.append(sound(0, 90))
    store.close()


def test_the_limit_refuses_the_newest() -> None:
    """At the limit the store refuses the new samples as a whole and keeps the earlier ones."""
    store = SampleStore(memory=UNLIMITED, limit=100)

    assert store.append(sound(0, 90))
    assert not store.append(sound(90, 101))
    assert store.append(sound(101, 111))
    assert store.read(0, 111) == sound(0, 90) + silence(11) + sound(101, 111)


def test_released_space_is_used_again() -> None:
    """A full store takes new samples after a release of the oldest."""
    store = SampleStore(memory=10, limit=100)
    for at in range(0, 100, 10):
        store.append(sound(at, at + 10))
    assert not store.append(sound(100, 110))
    store.release(50)

    assert store.append(sound(110, 160))
    store.close()


def small_disk(patch: pytest.MonkeyPatch, room: list[int]) -> None:
    """Let writes beyond ``room[0]`` bytes fail with ENOSPC, after a part is written."""

    def write(descriptor: int, data: memoryview, offset: int) -> int:
        taken = min(len(data), room[0], 7)
        if not taken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        room[0] -= taken
        return pwrite(descriptor, data[:taken], offset)

    pwrite = os.pwrite
    patch.setattr(spill_module.os, "pwrite", write)


@needs_pwrite
@settings(deadline=None)
@given(room=st.integers(0, 2000), chunks=st.lists(st.integers(1, 40), max_size=60))
def test_a_full_disk_loses_only_the_refused_samples(room: int, chunks: list[int]) -> None:
    """If the disk fills up in the middle of a write, all earlier samples can still be read."""
    with pytest.MonkeyPatch.context() as patch:
        small_disk(patch, [room])
        patch.setattr(store_module, "RETRY_S", 0)
        store, model = SampleStore(memory=64, limit=UNLIMITED, backlog=64), bytearray()
        for count in chunks:
            pcm = sound(store.end, store.end + count)
            model += pcm if store.append(pcm) else silence(count)
            assert held_bytes(store) <= 2 * 64 + 64 + 80
        assert store.read(0, store.end) == model
        written(store)
        assert store.read(0, store.end) == model
        store.close()


@needs_pwrite
def test_the_disk_is_used_again_when_it_has_space(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed write the store takes new samples as soon as the disk has space."""
    left = [0]
    small_disk(monkeypatch, left)
    monkeypatch.setattr(store_module, "RETRY_S", 0)
    store = SampleStore(memory=10, limit=UNLIMITED, backlog=20)
    assert store.append(sound(0, 10))
    assert store.append(sound(10, 20))
    written(store)
    assert not store.append(sound(20, 30))
    left[0] = 1000
    store.append(b"")
    written(store)

    assert store.append(sound(30, 40))
    assert store.read(0, 40) == sound(0, 20) + silence(10) + sound(30, 40)
    store.close()


@needs_pwrite
def test_a_slow_disk_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each write takes 400 ms: no call takes that long, and the samples wait in memory meanwhile."""

    def slow(descriptor: int, data: memoryview, offset: int) -> int:
        time.sleep(0.4)
        return pwrite(descriptor, data, offset)

    pwrite = os.pwrite
    monkeypatch.setattr(spill_module.os, "pwrite", slow)
    store, longest = SampleStore(memory=1000, limit=UNLIMITED), 0.0
    for at in range(0, 20_000, 1000):
        pcm = sound(at, at + 1000)
        began = time.monotonic()
        assert store.append(pcm)
        store.read(max(0, at - 1500), at)
        store.release(at - 15_000)
        longest = max(longest, time.monotonic() - began)
    began = time.monotonic()
    assert store.read(4000, 20_000) == sound(4000, 20_000)
    store.close()
    assert max(longest, time.monotonic() - began) < 0.2


def test_what_may_be_spared_leaves_when_there_is_no_room() -> None:
    """The oldest samples before a position leave, no more than needed; the others stay."""
    store = SampleStore(memory=UNLIMITED, limit=100)
    for at in range(0, 100, 10):
        assert store.append(sound(at, at + 10), spare=0)
    assert store.append(sound(100, 120), spare=55)
    assert store.gone == 20
    assert store.read(0, 120) == silence(20) + sound(20, 120)
    assert store.append(sound(120, 150), spare=55)
    assert store.gone == 50
    assert not store.append(sound(150, 160), spare=55)
    assert store.gone == 50


_UNDER_A_FILE_LIMIT = """
import resource
from rt_cli.timeline.tape import Tape
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
tape = Tape(8000, memory_s=10)
tape._store._backlog = 100_000
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
def test_a_file_size_limit_of_the_system_makes_holes() -> None:
    """With RLIMIT_FSIZE all audio is on the tape, or in a hole with its exact range."""
    done = subprocess.run([sys.executable, "-c", _UNDER_A_FILE_LIMIT], capture_output=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr.decode()
    assert int(done.stdout) >= 10


def _open_files() -> int:
    gc.collect()  # files that earlier tests left for the collector
    folder = Path("/proc/self/fd")
    return sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0
