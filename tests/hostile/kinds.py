"""What hostile endpoints do: in the handshake, in frames, in events, with the session. Variants are drawn by chance."""

from __future__ import annotations

import asyncio
import json
import struct
import time
from typing import TYPE_CHECKING, Any

from tests.hostile.peer import BINARY, CLOSE, ITEM, PING, PONG, STRANGE, TEXT, both, event, frame

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable

    from tests.hostile.peer import Peer

CODES = (0, 999, 1000, 1001, 1004, 1005, 1006, 1007, 1008, 1009, 1011, 1013, 1015, 3000, 4999, 65_535)
STATUSES = (200, 204, 301, 302, 307, 308, 400, 401, 403, 404, 407, 426, 429, 429, 500, 502, 503, 503, 599, 999)
PLACES = ("", "/", "//x", "file:///etc/passwd", "http://[", "ws://127.0.0.1:1/", "javascript:1", "\x1b[2J", "x" * 9000)
DATES = ("3600", "-1", "1e400", "Fri, 31 Dec 99999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 -2359", "x", "9" * 400)
LENGTHS: tuple[tuple[str, ...], ...] = (
    (),
    ("Transfer-Encoding: chunked",),
    ("Content-Length: 99999999",),
    ("Content-Length: x",),
    ("A: " + "b" * 7000,),
)
TRANSCRIPTS: tuple[dict[str, Any], ...] = (
    {},
    {"transcript": None},
    {"transcript": 5},
    {"text": "words"},
    {"status": "incomplete", "transcript": "w"},
)


def junk(chance: random.Random, levels: int = 3) -> Any:
    """A value of any type."""
    plain = (None, True, 0, -1, 2**53, 10**300, -1e300, 0.5, "", "a", STRANGE, "x" * 3000, "\ud800", "NaN", [], {})
    kind = chance.randrange(4 if levels else 2)
    if kind < 2:
        return chance.choice(plain)
    if kind == 2:
        return [junk(chance, levels - 1) for _ in range(chance.randrange(4))]
    names = ("type", "id", "code", "message", STRANGE, "")
    return {chance.choice(names): junk(chance, levels - 1) for _ in range(chance.randrange(4))}


def _turn(item: str, at_ms: int) -> list[dict[str, Any]]:
    """The events of a good endpoint about one turn, and of others about other things."""
    named = {"item_id": item, "content_index": 0}
    return [
        {"type": "input_audio_buffer.speech_started", "item_id": item, "audio_start_ms": at_ms},
        {"type": f"{ITEM}.delta", **named, "delta": "wor"},
        {"type": "input_audio_buffer.speech_stopped", "item_id": item, "audio_end_ms": at_ms + 400},
        {"type": "input_audio_buffer.committed", "item_id": item, "previous_item_id": None},
        {"type": "conversation.item.added", "item": {"id": item, "type": "message", "content": []}},
        {"type": f"{ITEM}.segment", **named, "text": "wor", "id": "s", "speaker": "a", "start": 0, "end": 1},
        {"type": f"{ITEM}.completed", **named, "transcript": "words", "usage": {"type": "duration", "seconds": 1}},
        {"type": f"{ITEM}.failed", **named, "error": {"type": "t", "code": "c", "message": "m", "param": None}},
        {"type": "session.updated", "session": {"id": "s", "audio": {"input": {"turn_detection": {"type": "x"}}}}},
        {"type": "rate_limits.updated", "rate_limits": [{"name": "requests", "reset_seconds": 1}]},
        {"type": "error", "error": {"type": "t", "code": "c", "message": "m", "param": None, "event_id": "e"}},
    ]


def _bend(chance: random.Random, value: Any, odds: float = 0.25) -> Any:
    """The same event with values of other types, and without some of its fields."""
    if isinstance(value, dict):
        kept = {name: _bend(chance, each, odds) for name, each in value.items() if chance.random() > odds / 3}
        return kept if chance.random() > odds / 6 else junk(chance)
    return junk(chance) if chance.random() < odds else value


async def _never_reads(peer: Peer) -> None:
    await peer.greet()
    await peer.repeat(lambda _: frame(PING, b"") if peer.chance.random() < 0.7 else frame(PONG, b"p"), 1.0)


async def _never_answers(peer: Peer) -> None:
    await peer.greet()
    await peer.swallow()


async def _only_pings(peer: Peer) -> None:
    await peer.greet()
    await both(peer.swallow(), peer.repeat(lambda _: frame(PING, b"x"), peer.chance.choice((0.001, 0.1, 2.0))))


async def _empty_deltas(peer: Peer) -> None:
    await peer.greet()
    every_s = peer.chance.choice((0.01, 0.5, 2.0))
    await both(peer.ignore(), peer.repeat(lambda _: event(f"{ITEM}.delta", item_id="i", delta=""), every_s))


def _floods(chance: random.Random) -> Callable[[int], bytes]:
    """What a flood consists of."""
    item = event(f"{ITEM}.delta", item_id="i", delta="word " * 20)
    choices: list[Callable[[int], bytes]] = [
        lambda _: event("an.unknown", field=STRANGE) * 200,
        lambda number: event("error", error={"code": "odd", "message": f"no {number} {STRANGE}"}) * 50,
        lambda number: event("error", error={"code": f"c{number}", "message": "no", "event_id": f"rt_{number}"}) * 50,
        lambda _: item * 100,
        lambda number: event("input_audio_buffer.speech_started", item_id=f"i{number}", audio_start_ms=number) * 2,
        lambda number: b"".join(map(_as_frame, _turn(f"i{number}", number * 400))) * 5,
        lambda number: event(f"{ITEM}.completed", item_id=f"i{number}", transcript=f"words {number}") * 50,
        lambda number: event("input_audio_buffer.committed", item_id=f"i{number}") * 50,
        lambda _: event("session.updated", session={}) * 50,
        lambda _: event("session.created", session={}) * 50,
        lambda _: frame(PING, b"p" * 125) * 200,
        lambda _: frame(PONG, b"p" * 125) * 200,
        lambda number: (frame(TEXT, b"", final=False) if not number else b"") + frame(0, b"x", final=False) * 500,
        lambda number: (frame(TEXT, b"[", final=False) if not number else b"") + frame(0, b" " * 60_000, final=False),
        lambda _: frame(BINARY, b"b" * 1000) * 50,
    ]
    return chance.choice(choices)


def _as_frame(fields: Any) -> bytes:
    return frame(TEXT, json.dumps(fields).encode(errors="replace"))


async def _flood(peer: Peer) -> None:
    await peer.greet()
    flood = _floods(peer.chance)
    if peer.chance.random() < 0.5:
        await peer.until("input_audio_buffer.append")
    await both(peer.ignore() if peer.chance.random() < 0.5 else asyncio.sleep(600), peer.repeat(flood))


async def _huge(peer: Peer) -> None:
    await peer.greet()
    size = peer.chance.choice((300_000, 2**20, 17 * 2**20, 70 * 2**20))
    choices = (
        lambda: event(f"{ITEM}.delta", item_id="i", delta="x" * size),
        lambda: event(f"{ITEM}.completed", item_id="i", transcript="x " * (size // 2)),
        lambda: event("error", error={"code": "x" * 1000, "message": "y" * size}),
        lambda: frame(TEXT, b'{"type": "' + b"t" * size + b'"}'),
        lambda: b"\x81\x7f" + struct.pack(">Q", 2**62) + bytes(1000),
        lambda: b"\x81\x7f" + struct.pack(">Q", 2**63 + 5) + bytes(1000),
    )
    await peer.send(peer.chance.choice(choices)())
    await peer.read_on()


async def _deep(peer: Peer) -> None:
    await peer.greet()
    depth = peer.chance.choice((500, 1500, 100_000))
    opened, closed = peer.chance.choice((("[", "]"), ('{"a":', "}")))
    nested = opened * depth + "0" + closed * depth
    name = peer.chance.choice(("error", "session", "item_id", "delta", "transcript", "x"))
    kind = peer.chance.choice(("error", "session.updated", f"{ITEM}.delta", f"{ITEM}.completed", "unknown"))
    await peer.send(frame(TEXT, f'{{"type": "{kind}", "{name}": {nested}}}'.encode()))
    await peer.read_on()


async def _wrong_types(peer: Peer) -> None:
    await peer.accept()
    odds = peer.chance.choice((0.05, 0.25, 0.6))
    await peer.send(_as_frame({"type": "session.created", "session": _bend(peer.chance, {"id": "s"}, odds)}))
    await peer.until("session.update")
    answer = {"type": "session.updated", "session": _bend(peer.chance, peer.session, odds)}
    await peer.send(_as_frame(answer))

    async def talk() -> None:
        for number in range(300):
            for each in _turn(f"i{number}", number * 50):
                await peer.send(_as_frame(_bend(peer.chance, each, odds)))
            await asyncio.sleep(0.01)
        await asyncio.sleep(600)

    await both(peer.read_on(), talk())


async def _bad_bytes(peer: Peer) -> None:
    await peer.greet()
    choices = (
        frame(TEXT, b'{"type": "error", "error": {"message": "\xff\xfe\xed\xa0\x80"}}'),
        frame(TEXT, b"\xc3", final=False) + frame(0, b"\x28"),
        frame(BINARY, json.dumps({"type": "error", "error": {"code": "binary"}}).encode()),
        frame(BINARY, peer.chance.randbytes(5000)),
        frame(TEXT, peer.chance.randbytes(500)),
        frame(TEXT, b""),
        frame(TEXT, b"\xef\xbb\xbf{}"),
        frame(TEXT, b'{"type": "error", "error": {"message": "\\ud800 \\u0000 \\u001b[2J"}}'),
        frame(TEXT, b'{"type": 1e999}') + frame(TEXT, b'{"type": ' + b"9" * 5000 + b"}"),
        frame(TEXT, b"{}", reserved=peer.chance.randrange(1, 8)),
        frame(peer.chance.choice((3, 7, 11, 15)), b"?"),
        frame(0, b"no start"),
        frame(PING, b"p", final=False),
        frame(PING, b"p" * 126),
        b"\x81\x82\1\2\3\4ab",
        peer.chance.randbytes(3000),
    )
    for each in peer.chance.sample(choices, k=peer.chance.choice((1, 1, 3))):
        await peer.send(each)
        await asyncio.sleep(0.1)
    await peer.read_on()


async def _closes(peer: Peer) -> None:
    if peer.chance.random() < 0.5:
        await peer.greet()
    else:
        await peer.accept()
    code = peer.chance.choice(
        (0, 999, 1000, 1001, 1004, 1005, 1006, 1007, 1008, 1009, 1011, 1013, 1015, 3000, 4999, 65_535)
    )
    reasons = (
        b"",
        STRANGE.encode()[:120],
        b"\xff\xfe",
        b"x" * 123,
        b"y" * 130,
        b"quota",
        b"api key sk-secret1234567890",
    )
    payload = struct.pack(">H", code) + peer.chance.choice(reasons)
    if peer.chance.random() < 0.5:
        message = f"{STRANGE} the model does not exist"
        await peer.say("error", error={"type": "invalid_request_error", "code": "model_not_found", "message": message})
    await peer.send(frame(CLOSE, peer.chance.choice((payload, payload, b"", b"\x03"))))
    await peer.swallow()


async def _answers_http(peer: Peer) -> None:
    chance = peer.chance
    chance.choice((200, 204, 301, 302, 307, 308, 400, 401, 403, 404, 407, 426, 429, 429, 500, 502, 503, 503, 599, 999))
    (
        "",
        "/",
        "//x",
        "file:///etc/passwd",
        "http://[",
        "ws://127.0.0.1:1/",
        "javascript:1",
        STRANGE[:20],
        "x" * 9000,
    )
    later = [f"Retry-After: {chance.choice(DATES)}" for _ in range(chance.randrange(3))]
    where = [f"Location: {chance.choice(PLACES)}" for _ in range(chance.randrange(3))]
    others = chance.choice(LENGTHS)
    start = f"HTTP/1.1 {chance.choice(STATUSES)} {STRANGE[:8]}"
    head = "\r\n".join((start, *later, *where, *others, "", ""))
    body = chance.choice(
        (b"", STRANGE.encode(), b'{"error": {"message": "\x1b[2J", "code": 5}}', b'{"error": [[[[' * 2000)
    )
    await peer.send(head.encode() + body)
    if chance.random() < 0.3:
        await peer.repeat(lambda _: b"endless " * 5000)
    elif chance.random() < 0.3:
        await peer.swallow()


async def _bad_upgrade(peer: Peer) -> None:
    upgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    choices: tuple[Callable[[], Awaitable[None]], ...] = (
        lambda: peer.send(f"{upgrade}Sec-WebSocket-Accept: AAAA\r\n\r\n".encode()),
        lambda: peer.send(f"{upgrade}\r\n".encode()),
        lambda: peer.accept("Sec-WebSocket-Accept: AAAA"),
        lambda: peer.accept("Sec-WebSocket-Extensions: permessage-deflate"),
        lambda: peer.accept("Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: b"),
        lambda: peer.accept("Retry-After: 1", "Location: /", "X: \xff"),
        lambda: peer.send(peer.chance.randbytes(2000)),
        lambda: peer.send(b"HTTP/1.1\r\n\r\n"),
        lambda: peer.send(b"\r\n" * 5000),
        lambda: peer.repeat(lambda number: f"{upgrade if not number else ''}X-{number}: {'y' * 50}\r\n".encode()),
        lambda: peer.repeat(lambda _: b"HTTP/1.1 101 endless" + b"!" * 10_000),
        lambda: peer.repeat(lambda number: upgrade[number % len(upgrade)].encode(), 0.5),
        lambda: asyncio.sleep(0),
        peer.swallow,
    )
    await peer.chance.choice(choices)()
    if peer.chance.random() < 0.5:
        await peer.swallow()


async def _expiry(peer: Peer) -> None:
    now = time.time()
    numbers = (now - 5, now + 0.5, now + 1, now * 1000, 1, -1, 60, 10**30, 1e308, True)
    values = (*numbers, "2020-01-01T00:00:00Z", [now], "1")
    await peer.greet(expires_at=peer.chance.choice(values))
    await peer.read_on()


async def _refuses_appends(peer: Peer) -> None:
    await peer.greet()
    code = peer.chance.choice(("invalid_value", "input_audio_buffer_full", "invalid_audio", STRANGE))
    known = peer.chance.random() < 0.5
    while True:
        got = await peer.receive()
        error = {
            "type": "invalid_request_error",
            "code": code,
            "message": "no",
            "event_id": got.get("event_id") if known else None,
        }
        await peer.say("error", error=error)


async def _no_transcripts(peer: Peer) -> None:
    await peer.greet()
    transcript = peer.chance.choice(
        ({}, {"transcript": None}, {"transcript": 5}, {"text": "words"}, {"status": "incomplete", "transcript": "w"})
    )

    async def talk() -> None:
        for number in range(50):
            for each in _turn(f"i{number}", number * 500)[:4]:
                await peer.send(_as_frame(each))
            await peer.say(f"{ITEM}.completed", item_id=f"i{number}", **transcript)
            await asyncio.sleep(0.2)
        await asyncio.sleep(600)

    await both(peer.read_on(), talk())


async def _changes_session(peer: Peer) -> None:
    await peer.accept()
    await peer.say("session.created", session={"id": STRANGE})
    await peer.until("session.update")
    inputs = (
        {"format": {"type": "audio/pcm", "rate": 16_000}},
        {"format": {"type": "audio/pcmu"}},
        {"format": STRANGE},
        {"transcription": None},
        {"turn_detection": None},
        {"turn_detection": {"type": "server_vad", "prefix_padding_ms": 1e300, "silence_duration_ms": -5}},
    )
    for each in peer.chance.sample(inputs, k=peer.chance.choice((1, 3))):
        await peer.say("session.updated", session={"audio": {"input": each}})
        await asyncio.sleep(0.3)
    await peer.read_on()


async def _no_answer(peer: Peer) -> None:
    await peer.accept()
    if peer.chance.random() < 0.6:
        await peer.say("session.created", session={})
    await (peer.read_on() if peer.chance.random() < 0.5 else peer.swallow())


async def _cuts(peer: Peer) -> None:
    for _ in range(peer.chance.randrange(3)):
        step = peer.chance.choice((peer.accept, peer.greet))
        await step()
        await asyncio.sleep(peer.chance.random() / 2)
        break
    peer.reset()


async def _drips(peer: Peer) -> None:
    await peer.greet()
    words = event(f"{ITEM}.delta", item_id="i", delta="word ") * 5
    await both(peer.ignore(), peer.repeat(lambda number: bytes([words[number % len(words)]]), 0.05))


KINDS: dict[str, Callable[[Peer], Awaitable[None]]] = {
    "never reads": _never_reads,
    "never answers": _never_answers,
    "only pings": _only_pings,
    "empty deltas": _empty_deltas,
    "flood": _flood,
    "huge message": _huge,
    "deep JSON": _deep,
    "wrong types": _wrong_types,
    "bad bytes": _bad_bytes,
    "closes": _closes,
    "answers HTTP": _answers_http,
    "bad upgrade": _bad_upgrade,
    "expiry": _expiry,
    "refuses appends": _refuses_appends,
    "no transcripts": _no_transcripts,
    "changes session": _changes_session,
    "no session.updated": _no_answer,
    "cuts": _cuts,
    "drips": _drips,
    "half-open TLS": _bad_upgrade,
}
"""By name; each draws its variant from the chance of the connection, which is that of the endpoint."""
