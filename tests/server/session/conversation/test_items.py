"""The items of a conversation. Pure."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.server.session.conversation import item_shapes
from rt_cli.server.session.conversation import items as items_module
from rt_cli.server.session.conversation.heard_words import heard_words
from rt_cli.server.session.conversation.items import Item, Items, Sound, Tokens, context
from rt_cli.server.session.wire import Rejected, turn


def message(item_id: str, text: str = "") -> Item:
    """A text message."""
    content = [{"type": "input_text", "text": text}]
    return Item({"id": item_id, "type": "message", "role": "user", "content": content})


def spoken(item_id: str, samples: int = 2_400) -> Item:
    """A turn at 24 kHz."""
    return Item(turn(item_id), {0: Sound(24_000, bytearray(2 * samples), samples)})


def reply(items: Items, item_id: str, words: str, samples: int) -> None:
    """An assistant message with audio at 24 kHz."""
    shape = {"id": item_id, "type": "message", "role": "assistant", "content": []}
    item = items.add(Item(shape))
    items.extend(item, 24_000, bytes(2 * samples))
    items.settle(item, {**shape, "content": [{"type": "output_audio", "transcript": words}]}, words)


def ids(items: Items) -> list[str]:
    """The item ids in order."""
    return [item.id for item in items]


def test_oldest_sound_is_evicted_first() -> None:
    """Above the limit the oldest sound is evicted; its item stays, with its length."""
    items = Items()
    items.kept_bytes = 3 * 4_800 + 1_000
    for name in "abcd":
        items.add(spoken(name))

    first = items.get("a")
    assert first is not None
    assert (first.sounds[0].evicted, first.sounds[0].ms) == (True, 100)
    assert "audio" not in first.with_audio(lambda sound: bytes(sound.pcm))["content"][0]
    assert ids(items) == list("abcd")
    assert all(not item.sounds[0].evicted for item in list(items)[1:])


def test_oldest_items_are_evicted_next() -> None:
    """Above the limit the oldest items are removed, too, but never the newest."""
    items = Items()
    items.kept_bytes = 300
    for name in "abcd":
        items.add(message(name, "x" * 100))
    assert ids(items) == list("cd")
    items.add(message("e", "x" * 1_000))
    assert ids(items) == ["e"]


def test_the_number_of_items_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above KEPT_ITEMS the oldest items are removed."""
    monkeypatch.setattr(items_module, "KEPT_ITEMS", 3)
    items = Items()
    for name in "abcd":
        items.add(message(name))
    assert ids(items) == list("bcd")


def test_context_is_the_newest_that_fits() -> None:
    """The context has the newest items that fit, and always the last one."""
    long = [message(name, "x" * 40) for name in "abc"]
    assert [item.id for item in context(long, limit=20)] == ["b", "c"]
    assert [item.id for item in context(long, limit=1)] == ["c"]
    assert context([], limit=1) == []


def test_tokens() -> None:
    """Four characters, 100 ms of audio, an image."""
    image = {"type": "input_image", "image_url": "data:"}
    item = Item(
        {"id": "a", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}, image]}
    )
    assert item.tokens() == Tokens(text=2, image=765)
    assert spoken("a", 2_401).tokens() == Tokens(audio=1)
    assert Item({"id": "a", "type": "function_call", "name": "four", "arguments": "four"}).tokens().text == 2


def test_transcript_for_repliers_only() -> None:
    """The replier gets the transcript, the client does not."""
    items = Items()
    items.add(Item(turn("a")))
    items.give_sound("a", Sound(24_000, bytearray(2), 1))
    items.set_words("a", "hello", to_client=False)
    item = items.get("a")
    assert item is not None
    assert item.context()["content"][0]["transcript"] == "hello"
    assert item.with_audio(lambda _: b"")["content"][0]["transcript"] is None


def test_truncation_during_the_reply() -> None:
    """Audio after the truncation is dropped, the transcript stays empty, and repliers get the words that were heard."""
    items = Items()
    shape = {"id": "a", "type": "message", "role": "assistant", "content": []}
    item = items.add(Item(dict(shape)))
    items.extend(item, 24_000, bytes(4_800))
    items.truncate("a", 0, 50)
    items.extend(item, 24_000, bytes(4_800))
    done = items.settle(
        item, {**shape, "content": [{"type": "output_audio", "transcript": "one two six ten"}]}, "one two six ten"
    )
    assert items.get("a") is item
    assert (item.sounds[0].ms, item.shape["content"][0]["transcript"]) == (50, "")
    assert done == item.shape
    assert item.context()["content"][0]["transcript"] == "one"  # 50 of 200 ms
    items.truncate("a", 0, 0)
    assert item.context()["content"][0]["transcript"] == ""


@pytest.mark.parametrize(
    ("text", "heard", "words"),
    [
        ("Good day.", 100, "Good day."),
        ("Good day.", 99, "Good"),
        ("Good day.", 45, "Good"),
        ("Good day.", 56, "Good"),
        ("Good day.", 44, ""),
        ("Good day.", 0, ""),
        ("a\nb c", 50, "a"),
        (" a b", 30, ""),
        ("", 50, ""),
        ("\u4f60\u597d\u5417\u6211", 50, "\u4f60\u597d"),
        ("aa a", 99, "aa"),
    ],
)
def test_words_that_were_heard(text: str, heard: int, words: str) -> None:
    """Whole words in proportion to the samples; characters where there are no spaces."""
    assert heard_words(text, heard, 100) == words


@given(st.text(" ab\n", max_size=30), st.integers(0, 100), st.integers(1, 100))
def test_words_that_were_heard_begin_the_text(text: str, heard: int, more: int) -> None:
    """Never more than the share of the text, never a part of a word, and all words of a whole reply."""
    generated = heard + more
    words = heard_words(text, heard, generated)
    assert text.startswith(words)
    assert len(words) * generated <= len(text) * heard or not words
    assert len(text.split()) < 2 or words.split() == text.split()[: len(words.split())]
    assert heard_words(text, generated, generated) == text


@pytest.mark.parametrize("value", [True, "1", None, 1.5, [0]])
def test_invalid_numbers(value: Any) -> None:
    """Index and milliseconds must be integers."""
    items = Items()
    reply(items, "a", "x", 240)
    for arguments in ((value, 0), (0, value)):
        with pytest.raises(Rejected):
            items.truncate("a", *arguments)


NAMES = st.sampled_from("abcdef")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("create"), NAMES, st.one_of(st.none(), st.just("root"), NAMES)),
        st.tuples(st.just("turn"), NAMES, st.integers(0, 5_000)),
        st.tuples(st.just("reply"), NAMES, st.integers(1, 5_000)),
        st.tuples(st.just("delete"), NAMES, st.none()),
        st.tuples(st.just("truncate"), NAMES, st.integers(-1, 300)),
        st.tuples(st.just("words"), NAMES, st.text(max_size=50)),
    ),
    max_size=40,
)


def step(items: Items, verb: str, name: str, value: Any) -> None:
    """Do one operation."""
    match verb:
        case "create":
            items.create(message(name, name * 20), value)
        case "turn" if items.get(name) is None:
            items.add(spoken(name, value))
        case "reply" if items.get(name) is None:
            reply(items, name, "some words", value)
        case "delete":
            items.delete(name)
        case "truncate":
            items.truncate(name, 0, value)
        case "words":
            items.set_words(name, value, to_client=True)


@given(STEPS, st.integers(1, 30_000))
def test_any_operations(steps: list[tuple[str, str, Any]], bound: int) -> None:
    """Ids are unique, memory use is limited and counted correctly, a rejected operation changes nothing."""
    items = Items()
    items.kept_bytes = bound
    for verb, name, value in steps:
        before = ids(items)
        try:
            step(items, verb, name, value)
        except Rejected:
            assert before == ids(items)
        order = ids(items)
        assert len(set(order)) == len(order)
        held = sum(item.count_characters() + sum(len(sound.pcm) for sound in item.sounds.values()) for item in items)
        assert held == items._bytes  # noqa: SLF001 - a count that is too high drops sound too early, and nothing shows it
        assert held <= bound or len(items) == 1
        for item in items:
            for sound in item.sounds.values():
                assert sound.evicted or len(sound.pcm) == 2 * sound.samples


def test_id_of_a_deleted_reply() -> None:
    """A client may delete a reply's item and use its id for an item of its own, which stays unchanged."""
    items = Items()
    said = items.add(Item({"id": "a", "type": "message", "role": "assistant", "content": []}))
    items.delete("a")
    items.create(message("a", "mine"), None)
    items.extend(said, 24_000, bytes(4_800))
    items.settle(said, {**said.shape, "content": [{"type": "output_audio", "transcript": "not mine"}]}, "not mine")
    item = items.get("a")
    assert item is not None
    assert item.context() == message("a", "mine").shape
    assert not item.sounds


def test_id_of_the_current_turn() -> None:
    """The client knows the id of the current turn's item, but cannot use it."""
    items = Items()
    with pytest.raises(Rejected) as refused:
        items.create(message("a"), None, pending_item_id="a")
    assert refused.value.code == "item_create_duplicate_item_id"
    assert not len(items)


def test_turn_audio_is_not_copied() -> None:
    """Concurrent responses share the audio of a turn: 15 minutes are 43 MB."""
    pcm = bytes(4_800)
    assert bytes(item_shapes.sound(pcm, 24_000).pcm) is pcm
