"""The items of a conversation, by themselves."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.server.session.conversation import item_shapes
from rt_cli.server.session.conversation import items as items_module
from rt_cli.server.session.conversation.items import Item, Items, Sound, Tokens, context
from rt_cli.server.session.wire import Rejected, turn


def message(item_id: str, text: str = "") -> Item:
    """A written one."""
    content = [{"type": "input_text", "text": text}]
    return Item({"id": item_id, "type": "message", "role": "user", "content": content})


def spoken(item_id: str, samples: int = 2_400) -> Item:
    """A turn at 24 kHz."""
    return Item(turn(item_id), {0: Sound(24_000, bytearray(2 * samples), samples)})


def reply(items: Items, item_id: str, words: str, samples: int) -> None:
    """An assistant's message, said at 24 kHz."""
    shape = {"id": item_id, "type": "message", "role": "assistant", "content": []}
    item = items.add(Item(shape))
    items.extend(item, 24_000, bytes(2 * samples))
    items.settle(item, {**shape, "content": [{"type": "output_audio", "transcript": words}]}, words)


def ids(items: Items) -> list[str]:
    """The order."""
    return [item.id for item in items]


def test_the_oldest_sound_goes_first() -> None:
    """Beyond the bound the oldest sound is let go, and its item stays, as long as it was."""
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


def test_the_oldest_items_go_next() -> None:
    """Text beyond the bound, too, is let go, the oldest first, and the newest never."""
    items = Items()
    items.kept_bytes = 300
    for name in "abcd":
        items.add(message(name, "x" * 100))
    assert ids(items) == list("cd")
    items.add(message("e", "x" * 1_000))
    assert ids(items) == ["e"]


def test_the_number_of_items_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However small they are."""
    monkeypatch.setattr(items_module, "KEPT_ITEMS", 3)
    items = Items()
    for name in "abcd":
        items.add(message(name))
    assert ids(items) == list("bcd")


def test_context_is_the_newest_that_fits() -> None:
    """A reply depends on the last items that fit, and on the last one even if it does not."""
    long = [message(name, "x" * 40) for name in "abc"]
    assert [item.id for item in context(long, limit=20)] == ["b", "c"]
    assert [item.id for item in context(long, limit=1)] == ["c"]
    assert context([], limit=1) == []


def test_tokens() -> None:
    """Four characters, 100 ms of sound, an image."""
    image = {"type": "input_image", "image_url": "data:"}
    item = Item(
        {"id": "a", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}, image]}
    )
    assert item.tokens() == Tokens(text=2, image=765)
    assert spoken("a", 2_401).tokens() == Tokens(audio=1)
    assert Item({"id": "a", "type": "function_call", "name": "four", "arguments": "four"}).tokens().text == 2


def test_words_that_the_client_did_not_ask_for() -> None:
    """Repliers know them, the client does not."""
    items = Items()
    items.add(Item(turn("a")))
    items.give_sound("a", Sound(24_000, bytearray(2), 1))
    items.set_words("a", "hello", to_client=False)
    item = items.get("a")
    assert item is not None
    assert item.context()["content"][0]["transcript"] == "hello"
    assert item.with_audio(lambda _: b"")["content"][0]["transcript"] is None


def test_truncated_while_it_is_said() -> None:
    """What comes after a truncation is not kept, and the transcript does not come back."""
    items = Items()
    shape = {"id": "a", "type": "message", "role": "assistant", "content": []}
    item = items.add(Item(dict(shape)))
    items.extend(item, 24_000, bytes(4_800))
    items.truncate("a", 0, 50)
    items.extend(item, 24_000, bytes(4_800))
    items.settle(item, {**shape, "content": [{"type": "output_audio", "transcript": "a b"}]}, "a b")
    assert items.get("a") is item
    assert (item.sounds[0].ms, item.shape["content"][0]["transcript"]) == (50, "")


@pytest.mark.parametrize("value", [True, "1", None, 1.5, [0]])
def test_numbers_that_are_none(value: Any) -> None:
    """Indices and milliseconds are integers."""
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
    """Do one thing."""
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
def test_whatever_is_done(steps: list[tuple[str, str, Any]], bound: int) -> None:
    """Names are unique, memory is bounded and counted right, what is rejected changes nothing."""
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
        assert held == items._bytes  # the bound rests on this account
        assert held <= bound or len(items) == 1
        for item in items:
            for sound in item.sounds.values():
                assert sound.evicted or len(sound.pcm) == 2 * sound.samples


def test_a_name_that_was_given_away() -> None:
    """A client that deletes a reply's item, and gives its name to another, keeps what it made."""
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


def test_a_name_that_is_promised() -> None:
    """The client was told the name of a turn before the turn has ended: it cannot have it."""
    items = Items()
    with pytest.raises(Rejected) as refused:
        items.create(message("a"), None, pending_item_id="a")
    assert refused.value.code == "item_create_duplicate_item_id"
    assert not len(items)


def test_a_turn_is_not_copied_for_those_who_answer_it() -> None:
    """However many responses are made of it at once: quarter of an hour is 43 MB."""
    pcm = bytes(4_800)
    assert bytes(item_shapes.sound(pcm, 24_000).pcm) is pcm
