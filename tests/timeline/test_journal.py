"""A damaged journal loses nothing in silence: each final is printed, or said again, or its audio is heard again."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_cli.timeline.journal import SpoolContents, SpoolSource, head_of, line_of, read_journal

TURN = 100
"""Samples of a turn."""
TURNS = 30
ORIGIN = SpoolSource(24_000, "talk.wav", "file", "/talk.wav", 4000)


def said(turn: int) -> str:
    """Words of the n-th turn of the audio."""
    return f"words {turn}"


@dataclass
class History:
    """Several processes that were killed, one after the other, over the same audio."""

    text: bytes = b""
    printed: set[int] = field(default_factory=set)
    """Turns of the audio whose words were printed."""
    dropped: set[int] = field(default_factory=set)
    """Turns of the audio that were reported as dropped."""

    def live(self, chance: random.Random) -> None:
        """Run a process until it is killed, perhaps in the middle of a write."""
        if self.text:
            contents = read_journal(self.text, [TURN * TURNS])
            seq = itertools.count(contents.next_seq)
            self._write(b"\n" + line_of({"type": "resumed", "at": contents.settled}, next(seq)))
        else:
            contents, seq = SpoolContents(ORIGIN), itertools.count()
            self._write(line_of(head_of(ORIGIN), next(seq)))
        number, unprinted = contents.next_turn, [(each["turn"], int(each["text"][6:])) for each in contents.finals]
        for turn in range(contents.settled // TURN, TURNS):
            end = (turn + 1) * TURN
            if chance.random() < 0.1:
                self.dropped.add(turn)
                records = [{"type": "turn", "turn": number}]
                records += [{"type": "hole", "start": turn * TURN, "end": end, "reason": "failed"}]
            else:
                records = [{"type": "final", "turn": number, "text": said(turn)}]
                unprinted.append((number, turn))
            number += 1
            records.append({"type": "settled", "to": end})
            self._write(b"".join(line_of(record, next(seq)) for record in records))
            while unprinted and chance.random() < 0.7:
                last, printed = unprinted.pop(0)
                self.printed.add(printed)
                self._write(line_of({"type": "printed", "turn": last}, next(seq)))
            if chance.random() < 0.1:
                break
        if chance.random() < 0.5:
            self.text = self.text[: -chance.randrange(1, 40)]
            # What was cut off may be the record that something was printed or dropped: only the words count.

    def _write(self, data: bytes) -> None:
        self.text += data

    def lost(self, contents: SpoolContents) -> list[int]:
        """Turns that a process would lose in silence if it went on with these contents."""
        again = {each["text"] for each in contents.finals}
        counted = contents.dropped // TURN
        gone = [turn for turn in range(contents.settled // TURN) if turn not in self.printed | self.dropped]
        words = [turn for turn in gone if said(turn) not in again]
        dropped = [turn for turn in self.dropped - self.printed if turn < contents.settled // TURN]
        return words if counted >= len(dropped) or contents.missing else [*words, *dropped]


def history(seed: int) -> History:
    """Two to four processes."""
    chance, made = random.Random(seed), History()
    for _ in range(chance.randint(2, 4)):
        made.live(chance)
    return made


def damaged(text: bytes, chance: random.Random) -> bytes:
    """Change the bytes of a file in one to three places."""
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(text))
        length = chance.choice([1, 1, 1, 8, 100, 512])
        match chance.randrange(6):
            case 0:
                text = text[:at] + bytes([text[at] ^ 1 << chance.randrange(8)]) + text[at + 1 :]
            case 1:
                text = text[:at] + text[at + length :]
            case 2:
                text = text[:at] + chance.randbytes(length) + text[at:]
            case 3:
                text = text[:at] + bytes(length) + text[at + length :]
            case 4:
                text = text[:at] + text[chance.randrange(len(text)) :][:length] + text[at + length :]
            case _:
                lines = text.split(b"\n")
                del lines[chance.randrange(len(lines))]
                text = b"\n".join(lines)
        text = text or b"\n"
    return text


def silent_losses(made: History, text: bytes) -> list[int]:
    """What is lost in silence; a journal that is refused as a whole says so."""
    try:
        contents = read_journal(text, [TURN * TURNS])
    except ValueError:
        return []
    return made.lost(contents)


def check_damage(files: int, per_file: int) -> None:
    """Check random damage to random journals."""
    for seed in range(files):
        made, chance = history(seed), random.Random(seed)
        assert made.lost(read_journal(made.text, [TURN * TURNS])) == [], seed
        for number in range(per_file):
            text = damaged(made.text, chance)
            assert silent_losses(made, text) == [], (seed, number)


def test_damage_loses_nothing_in_silence() -> None:
    """1000 random corruptions of 20 journals."""
    check_damage(20, 50)


@pytest.mark.parametrize(
    ("seed", "number"),
    [
        pytest.param(85, 17, id="records in another order"),
        pytest.param(4760, 25, id="a head that looks like one of version 0.1"),
        pytest.param(10897, 44, id="the same, cut elsewhere"),
    ],
)
def test_damage_that_once_lost_words(seed: int, number: int) -> None:
    """Each of these lost words in silence before it was mended."""
    made, chance = history(seed), random.Random(seed)
    texts = [damaged(made.text, chance) for _ in range(number + 1)]
    assert silent_losses(made, texts[-1]) == []


def test_a_head_without_its_number_does_not_hide_missing_records() -> None:
    """The first number behind it shows that records before that one are missing."""
    made = history(1)
    lines = made.text.split(b"\n")
    head = json.loads(lines[0])
    bare = json.dumps({name: value for name, value in head.items() if name not in {"seq", "crc"}}).encode()
    contents = read_journal(b"\n".join([bare, *lines[6:]]), [TURN * TURNS])

    assert contents.missing == json.loads(lines[6])["seq"] == 5
    assert silent_losses(made, b"\n".join([bare, *lines[6:]])) == []


@pytest.mark.long
def test_much_damage_loses_nothing_in_silence() -> None:
    """10,000 random corruptions of 200 journals."""
    check_damage(200, 50)


@pytest.mark.parametrize("seed", range(3))
def test_a_journal_cut_anywhere_loses_nothing_in_silence(seed: int) -> None:
    """At every byte: what was printed is not lost, the rest is heard or said again."""
    made = history(seed)
    for length in range(len(made.text)):
        assert silent_losses(made, made.text[:length]) == [], length


def test_a_final_without_the_record_of_its_mark_has_settled() -> None:
    """A kill between the two: the words must not come again under another number."""
    records = [
        head_of(ORIGIN),
        {"type": "final", "turn": 1, "text": "one", "settled": 100},
        {"type": "settled", "to": 100},
    ]
    whole = b"".join(line_of(record, number) for number, record in enumerate(records))
    cut = whole[: whole.rindex(b"settled")]
    for text in (whole, cut):
        contents = read_journal(text, [300])
        assert (contents.settled, [final["text"] for final in contents.finals]) == (100, ["one"])


@pytest.mark.parametrize(
    ("last", "unreported"),
    [
        ([], [(100, 200, "no_final")]),
        ([{"type": "printed", "turn": 1}], [(100, 200, "no_final")]),
        ([{"type": "printed", "turn": 3}], []),
    ],
    ids=["killed at once", "only the final before it was printed", "the final behind it was printed"],
)
def test_a_settled_hole_is_reported_again_until_a_final_behind_it_is_printed(
    last: list[dict[str, Any]], unreported: list[tuple[int, int, str]]
) -> None:
    """A kill may fall between its record and its report."""
    records: list[dict[str, Any]] = [
        {"type": "final", "turn": 1, "text": said(1)},
        {"type": "turn", "turn": 2},
        {"type": "hole", "start": 100, "end": 200, "reason": "no_final"},
        {"type": "final", "turn": 3, "text": said(3)},
        {"type": "settled", "to": 300},
        *last,
    ]
    contents = read_journal(b"".join(map(line_of, [head_of(ORIGIN), *records], itertools.count())), [400])

    assert (contents.unreported, contents.holes, contents.dropped) == (unreported, [], 100)


def test_an_old_journal_cut_in_a_final_does_not_trust_its_mark() -> None:
    """In version 0.1 the mark stood before the final: a torn final takes the mark before it along."""
    head, *records = [
        head_of(ORIGIN),
        {"type": "settled", "to": 100},
        {"type": "final", "turn": 1, "text": "one"},
        {"type": "settled", "to": 200},
        {"type": "final", "turn": 2, "text": "two"},
    ]
    text = b"".join(json.dumps(record).encode() + b"\n" for record in [head, *records])
    whole = read_journal(text, [300])
    assert (whole.settled, [final["text"] for final in whole.finals]) == (200, ["one", "two"])
    torn = read_journal(text[:-2], [300])
    assert (torn.settled, [final["text"] for final in torn.finals]) == (100, ["one"])


def test_a_mark_of_an_old_journal_is_checked_against_the_sound() -> None:
    """A mark beyond all sound would skip the sound that follows."""
    text = b"".join(json.dumps(record).encode() + b"\n" for record in [head_of(ORIGIN), {"type": "settled", "to": 999}])
    contents = read_journal(text, [300])
    assert (contents.settled, contents.captured) == (300, 300)


@pytest.mark.parametrize(
    "record",
    [
        {"type": "settled", "to": 1.5},
        {"type": "settled", "to": True},
        {"type": "settled", "to": -1},
        {"type": "settled", "to": 10**30},
        {"type": "settled"},
        {"type": "final", "turn": "1", "text": "x"},
        {"type": "final", "turn": 1, "text": 5},
        {"type": "final", "turn": 1, "text": "x", "start_ms": {}},
        {"type": "hole", "start": 0, "end": 1.5, "reason": "full"},
        {"type": "hole", "start": 0, "end": 10, "reason": {}},
        {"type": "turn", "turn": None},
        {"type": "printed", "turn": []},
        {"type": {}},
        [],
        5,
        None,
    ],
    ids=str,
)
def test_a_record_of_wrong_values_counts_for_nothing(record: Any) -> None:
    """Marks after it are not trusted, and the number of unreadable records is known."""
    text = b"".join(
        json.dumps(each).encode() + b"\n" for each in [head_of(ORIGIN), {"type": "settled", "to": 10}, record]
    )
    text += b'{"type":"settled","to":20}\n'
    contents = read_journal(text, [300])
    assert contents.finals == []
    assert contents.holes == []
    assert contents.settled in (10, 20)


@pytest.mark.parametrize(
    "change",
    [
        {"rate_hz": 0},
        {"rate_hz": 24_000.5},
        {"rate_hz": 10**12},
        {"rate_hz": "24000"},
        {"source": None},
        {"kind": 1},
        {"path": 5},
        {"size": "1"},
        {"channel": []},
        {"gain": float("nan")},
        {"gain": "1"},
        {"version": "1"},
        {"version": {}},
    ],
    ids=str,
)
def test_a_head_of_wrong_values_is_refused(change: dict[str, Any]) -> None:
    """The rate and the source decide how everything else is read."""
    with pytest.raises(ValueError, match="its"):
        read_journal(json.dumps(head_of(ORIGIN) | change).encode() + b"\n", [])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
RECORDS = st.dictionaries(
    st.sampled_from(["type", "to", "turn", "text", "start", "end", "reason", "at", "seq", "crc", "start_ms"]),
    JSON | st.sampled_from(["settled", "final", "turn", "printed", "hole", "ended", "resumed"]),
)


@settings(deadline=None)
@given(records=st.lists(RECORDS), heads=st.booleans(), ends=st.lists(st.integers(0, 10**15), max_size=2))
def test_any_records_are_read_or_refused(records: list[dict[str, Any]], heads: bool, ends: list[int]) -> None:  # noqa: FBT001 - drawn
    """No other error comes out, and the marks are in order."""
    lines = [json.dumps(record).encode() for record in ([head_of(ORIGIN)] if heads else []) + records]
    lines += [line_of(record, seq) for seq, record in enumerate(records)]
    try:
        contents = read_journal(b"\n".join(lines), ends)
    except ValueError:
        return
    assert 0 <= contents.settled <= contents.captured
    assert 0 <= contents.suspended <= contents.dropped <= contents.settled
    assert all(contents.settled <= start < end <= contents.captured for start, end, _ in contents.holes)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Behind a valid head, and alone."""
    read_journal(line_of(head_of(ORIGIN), 0) + data, [])
    try:
        read_journal(data, [])
    except ValueError:
        return
