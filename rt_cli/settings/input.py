"""``[input]``: where the sound comes from, and what of it is sent."""

from dataclasses import dataclass
from typing import Literal

from rt_cli.settings.auto import FILE_CHUNK_MS, LIVE_CHUNK_MS, LONGEST_CHUNK_MS, RAW_CHANNELS, RAW_RATE_HZ
from rt_cli.settings.declaration import BENCH, RUN, STREAM, TALK, setting

Encoding = Literal["s16le", "s24le", "s24_32le", "s32le", "f32le", "mulaw", "alaw"]
"""Encoding of raw PCM. ``s24_32le``: 24 bits in the lower three of four bytes, ALSA's S24_LE."""


@dataclass(frozen=True, slots=True)
class InputSettings:
    """Audio input."""

    device: str | None = setting(
        None,
        "--device -d NAME",
        "Name, part of it, hostapi:name, or index.",
        doc="A microphone: name, part of a name, hostapi:name, or index, as text.",
        auto="the system's default",
        commands=STREAM | TALK | {"doctor"},
        everyday=True,
    )
    chunk_ms: int | None = setting(
        None,
        "--chunk-ms MS",
        "Audio per message, {low}..{high}.",
        doc="Audio in one message.",
        auto=f"{LIVE_CHUNK_MS} for a microphone, {FILE_CHUNK_MS} for a file at the speed of sound, "
        f"up to {LONGEST_CHUNK_MS} where it goes faster",
        low=10,
        high=LONGEST_CHUNK_MS,
        commands=BENCH | TALK,
    )
    duration_s: float | None = setting(
        None,
        "--duration -t TIME",
        "Stop after so much audio.",
        doc="Stop after so much sound.",
        auto="at the end of the source",
        low=0.01,
        commands=BENCH,
        everyday=True,
        changes_result=True,
    )
    start_s: float = setting(
        0.0,
        "--start TIME",
        "Begin so far behind the beginning [{default}].",
        doc="What is before this time of a file, URL or pipe is left out; times count from here on.",
        low=0,
        commands=frozenset({"send"}),
        changes_result=True,
    )
    sample_rate: int | None = setting(
        None,
        "--sample-rate HZ",
        f"Of raw PCM on stdin [{RAW_RATE_HZ}].",
        doc="Of raw PCM from stdin: samples per second.",
        auto=f"{RAW_RATE_HZ}, which is said",
        low=1000,
        high=384_000,
        commands=RUN | TALK,
    )
    channels: int | None = setting(
        None,
        "--channels N",
        f"Of raw PCM on stdin [{RAW_CHANNELS}].",
        doc="Of raw PCM from stdin.",
        auto=f"{RAW_CHANNELS}, which is said",
        low=1,
        high=64,
        commands=RUN | TALK,
    )
    encoding: Encoding | None = setting(
        None,
        "--encoding NAME",
        "Of raw PCM: {choices: }.",
        doc="Of raw PCM from stdin: how a sample is written; s24_32le has 24 bits in the lower three of four bytes.",
        auto="s16le, and input in another format is recognised instead of being read as raw PCM",
        commands=RUN | TALK,
    )
    gate: bool = setting(
        False,
        "--gate",
        "Send only what is near speech.",
        doc="Send only what is near speech; the rest stays on the timeline as silence.",
        everyday=True,
        changes_result=True,
    )
    channel: str = setting(
        "mix",
        "--channel WHICH",
        "mix, left, right, a number, or split [{default}].",
        doc="Which channels are heard: mix (their average), left, right, a number from 1 to 64 (as text), or split "
        "(the first two, each in a session of its own).",
        examples=("mix", "left", "right", "split"),
        everyday=True,
        changes_result=True,
    )
    gain: float = setting(
        0.0,
        "--gain DB",
        "Make the sound louder, or softer [{default}].",
        doc="Make the sound louder, or softer: decibels.",
        low=-60,
        high=60,
        changes_result=True,
        commands=RUN | TALK,
    )
    ptt: bool = setting(
        False,
        "--ptt",
        "Send while talking: space, SIGUSR1/SIGUSR2.",
        doc="Push-to-talk: send audio only while talking.",
        commands=STREAM,
        everyday=True,
        only="rt",
    )
    ptt_fifo: str | None = setting(
        None,
        "--ptt-fifo PATH",
        "The same by lines: start, stop, toggle, quit.",
        doc="A FIFO whose lines start and stop talking.",
        commands=STREAM,
        only="rt",
    )
    stop_after_silence_s: float | None = setting(
        None,
        "--stop-after-silence TIME",
        "End after so long without speech.",
        doc="A live source ends after so long without speech.",
        auto="never",
        low=0.5,
        commands=STREAM,
        everyday=True,
    )
