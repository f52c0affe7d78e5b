"""The events of a response. Pure."""

from __future__ import annotations

import base64
from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rt_cli.server.replies.interface import Audio, Call, Part, Text, Usage
from rt_cli.server.session.conversation.items import Item, Items, Tokens
from rt_cli.server.session.conversation.response import Response, ResponseSettings
from tests.server.client import check

PARTS = st.one_of(
    st.builds(Text, st.text(max_size=20)),
    st.builds(Audio, st.integers(0, 4_800).map(lambda samples: b"\1\2" * samples)),
    st.builds(Call, st.just("call_1"), st.text(max_size=8), st.text(max_size=20)),
    st.builds(Usage, st.integers(0, 99), st.integers(0, 99), st.booleans()),
)
ENDS = st.sampled_from(
    [("completed", None, None), ("cancelled", "turn_detected", None), ("failed", None, "The source is gone.")]
)


def response(settings: ResponseSettings, items: Items) -> Response:
    """A response with simple ids."""
    numbers = count()
    return Response(settings, items, "conv_1", Tokens(5, 6, 7), lambda kind: f"{kind}_{next(numbers)}")


def checked(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events, validated by OpenAI's types."""
    for event in events:
        check({"event_id": "event_1", **event})
    return events


@given(
    st.lists(PARTS, max_size=12),
    ENDS,
    st.booleans(),
    st.booleans(),
    st.one_of(st.none(), st.integers(1, 30)),
    st.integers(0, 12),
)
def test_any_parts(
    parts: list[Part],
    end: tuple[Any, Any, Any],
    spoken: bool,  # noqa: FBT001
    in_conversation: bool,  # noqa: FBT001
    limit: int | None,
    deleted_after: int,
) -> None:
    """One first and one last event; deltas add up; every item and part is closed; limits and counts are right."""
    items = Items()
    said = response(
        ResponseSettings(with_audio=spoken, in_conversation=in_conversation, max_output_tokens=limit), items
    )
    events = said.begin()
    for number, part in enumerate(parts):
        events += said.take(part)
        last = items.last()
        if number == deleted_after and last is not None:
            items.delete(last)
    events += said.finish(*end)
    assert said.take(Text("more")) == said.finish("completed") == []
    checked(events)

    types = [event["type"] for event in events]
    assert types.count("response.created") == types.count("response.done") == 1
    assert (types[0], types[-1]) == ("response.created", "response.done")
    done = events[-1]["response"]
    output = done["output"]
    for kind in ("output_item", "content_part"):
        assert types.count(f"response.{kind}.added") == types.count(f"response.{kind}.done")
    added = [event["item"]["id"] for event in events if event["type"] == "response.output_item.added"]
    assert added == [item["id"] for item in output]
    assert [event["output_index"] for event in events if event["type"] == "response.output_item.done"] == list(
        range(len(output))
    )
    for item in output:
        deltas = "".join(
            event["delta"]
            for event in events
            if event.get("item_id") == item["id"]
            and event["type"].endswith((".delta",))
            and "audio.delta" not in event["type"]
        )
        whole = (
            item["arguments"]
            if item["type"] == "function_call"
            else item["content"][0].get("transcript" if spoken else "text")
        )
        assert deltas == whole
    told = sum(
        len(base64.b64decode(event["delta"])) for event in events if event["type"] == "response.output_audio.delta"
    )
    assert told == 2 * said.audio_samples
    if not spoken:
        assert told == 0
    if not in_conversation:
        assert len(items) == 0
        assert not [kind for kind in types if kind.startswith("conversation.")]
    usage = done["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    if limit is not None and not any(isinstance(part, Usage) for part in parts):
        assert usage["output_tokens"] <= limit
    if done["status"] == "completed":
        assert all(item["status"] == "completed" for item in output)


def test_text_without_limit() -> None:
    """Without a limit the text is complete and in order."""
    items = Items()
    items.add(Item({"id": "user", "type": "message", "role": "user", "content": []}))
    said = response(ResponseSettings(), items)
    parts = (Text("a "), Audio(b"\0\0"), Call("call_1", "f", "{}"), Text("b"))
    events = [event for part in parts for event in said.take(part)]
    done = said.finish("completed")[-1]["response"]
    assert [item["type"] for item in done["output"]] == ["message", "function_call", "message"]
    assert [item.id for item in items] == ["user", *(item["id"] for item in done["output"])]
    assert checked(events)[1]["previous_item_id"] == "user"
    assert done["status_details"] is None
    assert done["usage"]["input_token_details"]["image_tokens"] == 7
