"""The spool is written from a thread: nothing waits for the disk, and the order of the records is kept."""

from __future__ import annotations

import asyncio
import errno
import json
import time
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from rt_cli.events import Event, Final, Noted, Partial, Translation, Warned
from rt_cli.output.results.ndjson import to_json
from rt_cli.protocol.session.effects import Drop, Report, Settle
from rt_cli.streaming.capture import spool_writer as writer_module
from rt_cli.streaming.capture.spool_writer import SpoolWriter, final_of, translation_of
from rt_cli.timeline import spool as spool_module
from rt_cli.timeline.journal import SpoolSource
from rt_cli.timeline.spool import JOURNAL, Spool
from tests.fakes import run
from tests.memory import held_bytes

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

RATE = 24_000
PIECE = RATE // 25


def make_spool(folder: Path) -> Spool:
    """A new spool."""
    return Spool.create(folder / "spool", SpoolSource(RATE, "microphone", "microphone"))


def records(folder: Path) -> list[dict[str, Any]]:
    """The records of the journal after the first."""
    return [json.loads(line) for line in (folder / "spool" / JOURNAL).read_bytes().splitlines() if line][1:]


def slow_disk(patch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let each write take its time."""
    write = spool_module.write_all

    def slow(file: Any, data: bytes) -> None:
        time.sleep(seconds)
        write(file, data)

    patch.setattr(spool_module, "write_all", slow)


def full_disk(patch: pytest.MonkeyPatch) -> None:
    """Let each write fail."""

    def refuse(_file: object, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    patch.setattr(spool_module, "write_all", refuse)


def test_a_slow_disk_does_not_hold_up_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """400 ms a write: the loop turns without delay, all sound gets to the disk, and finals wait for their record."""
    events: list[tuple[Event, bool]] = []

    def on_event(event: Event) -> None:
        noted = any(record["type"] == "final" for record in records(tmp_path))
        events.append((event, noted))

    async def scenario() -> float:
        writer = SpoolWriter(make_spool(tmp_path), on_event)
        longest, at = 0.0, 0
        slow_disk(monkeypatch, 0.4)
        for number in range(60):
            began = time.monotonic()
            writer.sound(at, number.to_bytes(2, "little") * PIECE)
            at += PIECE
            writer.report(Noted(str(number)))
            if number == 20:
                effects = [Settle(PIECE), Report(Final(1, "x"))]
                writer.write_effects(effects)
                writer.report(Final(1, "x"))
            longest = max(longest, time.monotonic() - began)
            began = time.monotonic()
            await asyncio.sleep(0.02)
            longest = max(longest, time.monotonic() - began - 0.02)
        await writer.drain()
        await asyncio.to_thread(writer.close, delivered=False)
        return longest

    assert run(scenario(), seconds=30) < 0.2
    said = [event for event, _ in events]
    assert said == [*(Noted(str(n)) for n in range(21)), Final(1, "x"), *(Noted(str(n)) for n in range(21, 60))]
    assert all(noted for event, noted in events if isinstance(event, Final))
    spool, contents = Spool.reopen(tmp_path / "spool")
    sound = b"".join(pcm for _, pcm in spool.read(0, contents.captured))
    spool.close(delivered=False)
    assert sound == b"".join(number.to_bytes(2, "little") * PIECE for number in range(60))


def test_the_final_stands_before_its_mark(tmp_path: Path) -> None:
    """The session settles first; a torn write must never leave the mark alone."""

    async def scenario() -> None:
        writer = SpoolWriter(make_spool(tmp_path), lambda _: None)
        writer.write_effects([Settle(5), Report(Final(1, "a")), Drop(5, 7, "failed"), Settle(7), Report(Final(2, "b"))])
        await writer.drain()
        writer.close(delivered=False)

    run(scenario())
    assert [record["type"] for record in records(tmp_path)] == ["final", "hole", "final", "settled", "settled"]
    assert [record["settled"] for record in records(tmp_path) if record["type"] == "final"] == [5, 7]


def test_record_of_a_final_has_the_fields_that_are_set(tmp_path: Path) -> None:
    """As its line on stdout; and a later process reads the same final from it."""
    finals = [
        Final(1, "a"),
        Final(2, "", 0, 0, approx=True, language="de", latency_ms=0, resumed=True),
        Final(3, "c", 5, 9),
    ]

    async def scenario() -> None:
        writer = SpoolWriter(make_spool(tmp_path), lambda _: None)
        writer.write_effects([Report(final) for final in finals])
        await writer.drain()
        writer.close(delivered=False)

    run(scenario())
    written = [
        {name: value for name, value in each.items() if name not in ("seq", "crc")} for each in records(tmp_path)
    ]
    assert written == [json.loads(to_json(final)) for final in finals]
    spool, contents = Spool.reopen(tmp_path / "spool")
    spool.close(delivered=False)
    assert [final_of(each) for each in contents.finals] == [replace(final, resumed=True) for final in finals]


def test_a_translation_is_stored_before_its_final(tmp_path: Path) -> None:
    """A torn write never leaves a settled turn with one language; another process reads both."""
    first, second = Translation(turn=1, text="uno", language="es"), Translation(turn=2, text="", language="es")

    async def scenario() -> None:
        writer = SpoolWriter(make_spool(tmp_path), lambda _: None)
        effects = [
            Settle(5),
            Report(Final(1, "one")),
            Report(first),
            Settle(7),
            Report(Final(2, "two")),
            Report(second),
        ]
        writer.write_effects(effects)
        await writer.drain()
        writer.close(delivered=False)

    run(scenario())
    kinds = [record["type"] for record in records(tmp_path)]
    assert kinds == ["translation", "translation", "final", "final", "settled", "settled"]
    spool, contents = Spool.reopen(tmp_path / "spool")
    spool.close(delivered=False)
    assert [translation_of(contents.translations[turn]) for turn in (1, 2)] == [first, second]


def test_sound_is_on_disk_before_its_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each write of the journal all audio before the mark is in the segments."""
    seen: list[bool] = []
    write = spool_module.write_all

    def watch(file: Any, data: bytes) -> None:
        for line in data.splitlines():
            if line and (record := json.loads(line) if line.startswith(b"{") else {}).get("type") == "settled":
                sizes = [path.stat().st_size for path in (tmp_path / "spool").glob("*.pcm")]
                seen.append(sum(sizes) >= 2 * record["to"])
        write(file, data)

    async def scenario() -> None:
        writer = SpoolWriter(make_spool(tmp_path), lambda _: None)
        monkeypatch.setattr(spool_module, "write_all", watch)
        for number in range(200):
            writer.sound(number * 10, b"\1\0" * 10)
            writer.write_effects([Report(Final(number + 1, "x")), Settle((number + 1) * 10)])
            if number % 7 == 0:
                await asyncio.sleep(0)
        await writer.drain()
        writer.close(delivered=False)

    run(scenario())
    assert len(seen) == 200
    assert all(seen)


def test_a_full_disk_is_reported_once_and_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words are not held back, and what could not be written is written later, in order."""
    events: list[Event] = []

    async def scenario() -> None:
        writer = SpoolWriter(make_spool(tmp_path), events.append)
        with monkeypatch.context() as full:
            full_disk(full)
            writer.sound(0, b"\1\0" * 10)
            writer.write_effects([Settle(5), Report(Final(1, "x"))])
            writer.report(Final(1, "x"))
            while Final(1, "x") not in events:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)
            writer.sound(10, b"\2\0" * 10)
        writer.printed(1)
        await writer.drain()
        writer.close(delivered=False)

    monkeypatch.setattr(writer_module, "RETRY_S", 0.05)
    run(scenario())
    message = "the spool takes no more (No space left on device): from here on a crash would lose sound"
    assert [event for event in events if isinstance(event, Warned)] == [Warned("spool_failed", message)]
    assert [record["type"] for record in records(tmp_path)] == ["final", "settled", "printed"]
    spool, contents = Spool.reopen(tmp_path / "spool")
    assert b"".join(pcm for _, pcm in spool.read(0, contents.captured)) == b"\1\0" * 10 + b"\2\0" * 10
    spool.close(delivered=False)


def test_a_disk_that_hangs_holds_words_for_a_while_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the patience everything is reported in order, with a warning; the memory is bounded."""
    events: list[Event] = []

    async def scenario() -> None:
        writer = SpoolWriter(make_spool(tmp_path), events.append, limit_bytes=1000)
        slow_disk(monkeypatch, 1.0)
        writer.write_effects([Report(Final(1, "x")), Settle(5)])
        writer.report(Final(1, "x"))
        writer.report(Partial(2, "y"))
        for number in range(100):
            writer.sound(number * 100, bytes(200))
        assert held_bytes(writer) <= 1000 + 2 * 200
        await asyncio.sleep(0.3)
        assert [event for event in events if not isinstance(event, Warned)] == [Final(1, "x"), Partial(2, "y")]
        await asyncio.to_thread(writer.close, delivered=False)

    monkeypatch.setattr(writer_module, "PATIENCE_S", 0.1)
    run(scenario())
    assert [event.code for event in events if isinstance(event, Warned)] == ["spool_failed"]


def test_what_an_earlier_process_wrote_is_not_written_again(tmp_path: Path) -> None:
    """Sound and holes before the end of the spool."""

    async def scenario() -> None:
        writer = SpoolWriter(make_spool(tmp_path), lambda _: None, captured=20)
        writer.sound(0, bytes(40))
        writer.sound(20, b"\1\0" * 10)
        await writer.drain()
        writer.close(delivered=False)

    run(scenario())
    assert [path.name for path in (tmp_path / "spool").glob("*.pcm")] == ["audio-000000000000020.pcm"]


def test_a_delivered_spool_is_removed(tmp_path: Path) -> None:
    """After everything that waits."""

    async def scenario() -> None:
        writer = SpoolWriter(make_spool(tmp_path), lambda _: None)
        for number in range(100):
            writer.sound(number * 100, bytes(200))
        writer.close(delivered=True)
        writer.close(delivered=True)

    run(scenario())
    assert not (tmp_path / "spool").exists()
