"""Endpoints that invent words for silence: sound with much of it, over all sources, turns and troubles."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import random
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from tests.exact import RATE, ExactEndpoint, Verdict, judge, speech
from tests.habits import Habits
from tests.program import ROOT, RT, write_wav
from tests.proxy import Fault, Proxy
from tests.server.client import recording
from tests.streaming.harness import MemorySource, settings, stream, with_turns

if TYPE_CHECKING:
    from rt_cli.settings import TurnDetection

INVENTED = "Thank you."
Origin = Literal["file", "live source", "rt send", "rt stream -"]
"""The first two run in this process with an exact detector, the others are the real program with a real voice."""
Trouble = Literal["none", "kills", "rollovers"]
Ending = Literal["long silence", "short silence", "a last word"]
_MODES: tuple[TurnDetection, ...] = ("server_vad", "client")
CASES = [*itertools.product(get_args(Origin), _MODES, get_args(Trouble), get_args(Ending))]
_WORD_MS = 180
"""Of the last word: it lies in the last 200 ms."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The words of a run."""

    case: str
    exit: int
    invented: int
    verdict: Verdict
    """Of the words that were spoken; of a voice only the number of its samples is known."""
    reconnects: int

    @property
    def right(self) -> bool:
        """Whether all words came, and no other."""
        return self.exit == 0 and not self.invented and self.verdict.perfect


def _sound(chance: random.Random, ending: Ending, *, voice: bool) -> tuple[bytes, list[range]]:
    """Turns with silences of up to four seconds, and the pairs of samples of each."""
    parts, spans, first = [bytes(2 * RATE * chance.choice((0, 2)))], [], 0
    spoken = _voices() if voice else None
    for number in range(4):
        last = number == 3
        pcm = _exact(first, chance.randrange(300, 900)) if spoken is None else spoken[number % 2]
        if last and ending == "a last word":
            pcm = _exact(first, _WORD_MS) if spoken is None else spoken[2]
        quiet_ms = chance.choice((400, 1200, 4000))
        if last:
            quiet_ms = {"long silence": 3000, "short silence": 100, "a last word": 0}[ending]
        parts += [pcm, bytes(2 * RATE * quiet_ms // 1000)]
        spans.append(range(first, first + len(pcm) // 4))
        first += len(pcm) // 4
    return b"".join(parts), spans


def _exact(first: int, length_ms: int) -> bytes:
    return speech(first, length_ms * RATE // 2000)


def _voices() -> list[bytes]:
    """Two sentences and one word, without a sample that is zero, so that the endpoint hears no pause in them."""
    whole = recording("sense_0930")
    at = 2 * RATE * 14 // 10
    clips = [whole, recording("sense_0870")[: 2 * RATE * 2], whole[at : at + 2 * RATE * _WORD_MS // 1000]]
    voices = (np.frombuffer(clip, "<i2")[: len(clip) // 4 * 2] for clip in clips)
    return [np.where(voice == 0, 1, voice).astype("<i2").tobytes() for voice in voices]


def _plan(chance: random.Random, trouble: Trouble) -> list[Fault]:
    """Two cuts, at any byte of the first megabyte."""
    if trouble != "kills":
        return []
    return [Fault(cut_after=chance.randrange(20_000, 500_000), how="rst") for _ in range(2)]


async def run_case(number: int) -> Heard:
    """Run a case; numbers beyond the cases run them again with other sound."""
    origin, turns, trouble, ending = case = CASES[number % len(CASES)]
    chance = random.Random(number)
    real = origin.startswith("rt")
    pcm, spans = _sound(chance, ending, voice=real)
    habits = Habits(invents=INVENTED, voice=real)
    if trouble == "rollovers":
        # The end of the audio needs a session that lasts until its model is loaded.
        habits = replace(habits, lifetime_s=2.5 if real else 1.5, announced=chance.random() < 0.5)
    plan = _plan(chance, trouble)
    proxy = Proxy(lambda connection: plan[connection] if connection < len(plan) else Fault())
    # An expiry needs a run that lasts.
    speed = 4.0 if trouble == "rollovers" or origin == "live source" else math.inf
    async with ExactEndpoint(habits).serving() as endpoint, proxy.serving(endpoint.port):
        url = f"ws://127.0.0.1:{proxy.port}/v1/realtime"
        if real:
            texts, code, reconnects = await _program(url, pcm, speed, turns, pipe=origin == "rt stream -")
        else:
            source = MemorySource(pcm, live=origin == "live source", speed=speed)
            run = await stream(url, source, with_turns(settings(speed=speed), turns))
            texts, code, reconnects = [final.text for final in run.finals], run.summary.exit, run.summary.reconnects
    invented = sum(INVENTED in text for text in texts)
    said = [text for text in texts if INVENTED not in text and text]
    return Heard(", ".join(case), code, invented, _count(said, spans) if real else judge(said, spans), reconnects)


def _count(texts: list[str], spans: list[range]) -> Verdict:
    """Compare the number of samples of a voice; words at the edges of turns are of no concern."""
    wanted = sum(len(span) * 2 for span in spans)
    heard = sum(int(text.removeprefix("voice-")) for text in texts)
    return Verdict(max(0, wanted - heard), max(0, heard - wanted), 0, 0)


async def _program(
    url: str, pcm: bytes, speed: float, turns: TurnDetection, *, pipe: bool
) -> tuple[list[str], int, int]:
    """Run the real program; returns the texts, the exit code and the number of reconnects."""
    pace = "max" if math.isinf(speed) else f"{speed:g}"
    options = ("-m", "whisper-1", "--json", "--silence-ms", "300", "--turn-detection", turns, "--url", url)
    with tempfile.TemporaryDirectory() as folder:
        wav = write_wav(Path(folder) / "sound.wav", pcm)
        source = ("stream", "-", "--catch-up", pace) if pipe else ("send", str(wav), "--speed", pace)
        process = await asyncio.create_subprocess_exec(
            *(*RT, *source, *options),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        out, _ = await process.communicate(pcm if pipe else None)
    events: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
    texts = [event["text"] for event in events if event["type"] == "final"]
    return texts, process.returncode or 0, events[-1]["reconnects"]
