"""Two streams of words become turns: every word in one of them, in order, whatever the pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.protocol.translation.events import TranslatedTurn, TranslationPartial
from rt_cli.protocol.translation.sentences import LONGEST_CHARS, sentence_end
from rt_cli.protocol.translation.turns import LAG_MS, PATIENCE_MS, PAUSE_MS, TurnMaker


def turns(events: list[object]) -> list[tuple[str, str]]:
    """The turns among events, in both languages."""
    return [(each.text, each.translation) for each in events if isinstance(each, TranslatedTurn)]


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("", None),
        ("Hello", None),
        ("Hello there.", 12),
        ("Hello there. How", 12),
        ("Is it? Yes.", 6),
        ('He said "no way!" and', 17),
        ("Mr. Smith", None),
        ("Yes.", None),
        ("It costs 3.", None),
        ("It costs 3.5 euros", None),
        ("It costs 3. Then", 11),
        ("你好。再见", 3),
        ("这是（好）！再见", 6),  # noqa: RUF001 - the marks of the script
        ("क्या हाल है।", 12),
        ("هل أنت بخير؟ نعم", 12),
        ("x" * LONGEST_CHARS, LONGEST_CHARS),
        ("word " * 100, LONGEST_CHARS - 1),
    ],
)
def test_the_end_of_a_sentence(text: str, end: int | None) -> None:
    """Not behind an abbreviation, nor within a number; never beyond the longest piece."""
    assert sentence_end(text) == end


def test_sentences_are_paired_in_their_order() -> None:
    """The translation is behind: the next sentence has begun before it comes."""
    maker = TurnMaker()
    assert turns(maker.said("Good morning all.", 1000)) == []
    assert turns(maker.said(" How are you?", 2200)) == []
    assert turns(maker.translated("Buenos días a todos.", 2600)) == [("Good morning all.", "Buenos días a todos.")]
    assert turns(maker.translated(" ¿Cómo están ustedes?", 4000)) == [("How are you?", "¿Cómo están ustedes?")]


def test_a_turn_ends_before_the_next_one_may_have_begun() -> None:
    """Words are written down later than they are said: what follows is heard again after a cut."""
    maker = TurnMaker()
    maker.said("one two.", 5000)
    maker.said(" three four.", 5200)
    (first,) = maker.translated("uno dos.", 6000)
    assert isinstance(first, TranslatedTurn)
    assert first.end_ms <= 5200 - LAG_MS
    maker = TurnMaker()
    maker.said("one two.", 5000)
    (alone,) = maker.translated("uno dos.", 9000)
    assert isinstance(alone, TranslatedTurn)
    assert alone.end_ms == 5000  # nobody has said more for so long


def test_a_pause_ends_a_turn_without_the_end_of_a_sentence() -> None:
    """A pause of one language alone does not: an interpreter waits for the verb."""
    maker = TurnMaker()
    maker.said("one two", 1000)
    assert turns(maker.passed(1000 + PAUSE_MS + 200)) == []
    assert turns(maker.translated("uno dos", 4000)) == []
    assert turns(maker.passed(4000 + PAUSE_MS - 1)) == []
    assert turns(maker.passed(4000 + PAUSE_MS)) == [("one two", "uno dos")]


def test_a_turn_without_a_translation_is_not_held_for_ever() -> None:
    """Nor does it take the next one's."""
    maker = TurnMaker()
    maker.said("one two.", 1000)
    assert turns(maker.passed(1000 + PATIENCE_MS - 1)) == []
    assert turns(maker.passed(1000 + PATIENCE_MS)) == [("one two.", "")]
    maker.said("three four.", 10_000)
    assert turns(maker.translated("tres cuatro.", 11_000)) == [("three four.", "tres cuatro.")]


def test_more_sentences_of_the_translation_stay_with_a_turn_that_goes_on() -> None:
    """The interpreter makes two sentences of one."""
    maker = TurnMaker()
    maker.said("one two", 1000)
    maker.translated("uno aquí.", 1500)
    maker.translated(" dos allí.", 2000)
    assert turns(maker.said(" and three.", 2200)) == [("one two and three.", "uno aquí. dos allí.")]


def test_silence_without_events_is_told_by_the_clock() -> None:
    """What the endpoint read some seconds ago it has written down; a model that is behind is given its time."""
    maker = TurnMaker()
    maker.said("one two", 1000)
    maker.translated("uno dos", 1200)
    done = [found for second in range(20) for found in turns(maker.tick(1000 + 1000 * second, float(second)))]
    assert done == [("one two", "uno dos")]
    behind = TurnMaker()
    behind.said("one two", 1000)
    behind.translated("uno dos", 1200)
    assert turns([*behind.tick(60_000, 0.0), *behind.tick(60_000, 1.0)]) == []


def test_partials_are_the_whole_text_of_a_turn() -> None:
    """A delta with the end of a sentence in it belongs to two."""
    maker = TurnMaker()
    assert maker.said("one", 100) == [TranslationPartial("turn_1", "one")]
    assert maker.said(" two. three", 300) == [
        TranslationPartial("turn_1", "one two."),
        TranslationPartial("turn_2", " three"),
    ]


WORDS = st.text(st.sampled_from("ab .,?!…。3\n\ud83d\ude00é"), min_size=1, max_size=12)
STEPS = st.lists(
    st.tuples(st.sampled_from(["said", "translated", "passed", "tick"]), WORDS, st.none() | st.integers(0, 60_000)),
    max_size=60,
)


@given(STEPS, st.booleans())
def test_every_word_is_in_one_turn_in_order(steps: list[tuple[str, str, int | None]], all_read: bool) -> None:  # noqa: FBT001 - generated
    """Of both languages, whatever the order and the times of the events, in turns whose ranges are possible."""
    maker, events = TurnMaker(), []
    given_texts = {"said": "", "translated": ""}
    for number, (what, text, at) in enumerate(steps):
        match what:
            case "passed":
                events += maker.passed(at)
            case "tick":
                events += maker.tick(at or 0, float(number))
            case _:
                given_texts[what] += text
                events += getattr(maker, what)(text, at)
    events += maker.flush(all_read=all_read)
    done = [each for each in events if isinstance(each, TranslatedTurn)]
    for name, told in (
        ("said", "".join(each.text for each in done)),
        ("translated", "".join(each.translation for each in done)),
    ):
        assert _letters(told) == _letters(given_texts[name])
    assert all(0 <= each.start_ms <= each.end_ms <= 60_000 for each in done)
    ids = [each.turn_id for each in done]
    assert len(set(ids)) == len(ids)
    assert maker.flush(all_read=True) == []


def _letters(text: str) -> str:
    """A text without the space and the halves of characters, which a cut may split."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return "".join(char for char in whole if not char.isspace() and char not in "\ufffd\U0001f600")


def test_words_that_come_late_are_no_pause() -> None:
    """Sound may be ahead of the words: that the endpoint has got further says nothing of words on their way."""
    maker = TurnMaker()
    maker.passed(20_000)
    assert turns(maker.said("one two.", 3000)) == []
    assert turns(maker.translated("uno", 3000)) == []
    assert turns(maker.translated(" dos.", 3200)) == [("one two.", "uno dos.")]
