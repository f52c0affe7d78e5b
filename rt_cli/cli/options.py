"""The options of ``stream`` and ``send``: names, metavar, help and completion of each."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from copy import copy
from pathlib import Path
from typing import Annotated, Any

import typer

from rt_cli.cli.completion import choices_of, complete_device, one_of, profiles

Command = Callable[..., int]


def _value(*spec: str, completion: Callable[..., Any] | None = None) -> Any:
    """Return an option with a value. ``spec`` is its names, its metavar and its help."""
    *names, metavar, text = spec
    return Annotated[str | None, typer.Option(*names, metavar=metavar, help=text, autocompletion=completion)]


def _flag(*spec: str) -> Any:
    """Return an option without a value. ``spec`` is its names and its help."""
    *names, text = spec
    return Annotated[bool | None, typer.Option(*names, help=text)]


COMMON: dict[str, Any] = {
    "local": _flag("--local", "The embedded endpoint: no key, no network."),
    "url": _value("--url", "URL", "http, https, ws or wss; /v1/realtime optional."),
    "dialect": _value("--dialect", "NAME", "auto, openai or azure.", completion=one_of("auto", "openai", "azure")),
    "model": _value("--model", "-m", "NAME", "Transcription model."),
    "profile": _value("--profile", "-p", "NAME", "Profile of the config file.", completion=profiles),
    "config": Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Config file.")],
    "cacert": _value("--cacert", "FILE", "PEM with more certificate authorities."),
    "client_cert": _value("--client-cert", "FILE", "PEM certificate to show the endpoint."),
    "client_key": _value("--client-key", "FILE", "Its key, if in another file."),
    "insecure": _flag("--insecure", "-k", "Do not check the certificate."),
    "proxy": _value("--proxy", "URL", "http, https or socks5h [HTTPS_PROXY]."),
    "headers": Annotated[
        list[str] | None, typer.Option("--header", "-H", metavar="'K: V'", help="Header of the handshake; repeatable.")
    ],
    "api_key_file": _value("--api-key-file", "FILE", "The key is in this file."),
    "api_key_cmd": _value("--api-key-cmd", "CMD", "This command prints the key."),
    "chunk_ms": _value("--chunk-ms", "MS", "Audio per message, 10..1000."),
    "duration": _value("--duration", "-t", "TIME", "Stop after so much audio."),
    "sample_rate": _value("--sample-rate", "HZ", "Of raw PCM on stdin [24000]."),
    "channels": _value("--channels", "N", "Of raw PCM on stdin [1]."),
    "encoding": _value(
        "--encoding",
        "NAME",
        "Of raw PCM: s16le s24le s24_32le s32le f32le mulaw alaw.",
        completion=choices_of("encoding"),
    ),
    "gate": _flag("--gate", "Send only what is near speech."),
    "channel": _value(
        "--channel",
        "WHICH",
        "mix, left, right, a number, or split [mix].",
        completion=one_of("mix", "left", "right", "split"),
    ),
    "gain": _value("--gain", "DB", "Make the sound louder, or softer [0]."),
    "language": _value("--language", "-l", "CODE", "Spoken language, as en."),
    "prompt": _value("--prompt", "TEXT", "Words and names to expect."),
    "turn_detection": _value(
        "--turn-detection", "WHO", "server_vad, semantic_vad, client or none.", completion=choices_of("turn_detection")
    ),
    "vad_threshold": _value("--vad-threshold", "P", "Speech from here, 0..1 [0.5]."),
    "silence_ms": _value("--silence-ms", "MS", "Silence that ends a turn [500]."),
    "prefix_ms": _value("--prefix-ms", "MS", "Audio kept before speech [300]."),
    "max_turn": _value("--max-turn", "TIME", "Longest turn rt makes itself [30]."),
    "noise_reduction": _value(
        "--noise-reduction", "KIND", "near_field, far_field.", completion=choices_of("noise_reduction")
    ),
    "extra": Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Any field of the session object.")
    ],
    "format": _value("--output", "-o", "FORMAT", "text, json, srt or vtt [text].", completion=choices_of("format")),
    "timestamps": _flag("--timestamps", "When each line of text begins."),
    "save_transcript": _value("--save-transcript", "FILE", "Results also here: .txt .srt .vtt .jsonl"),
    "save_audio": _value("--save-audio", "FILE", "What was captured, as WAV."),
    "record": _value("--record", "FILE", "What crosses the wire, for rt replay."),
    "record_audio": _flag("--record-audio", "With the sound, not only its size."),
    "output_dir": _value("--output-dir", "DIR", "A file of results for each source."),
    "force": _flag("--force", "Files to save may be replaced."),
    "json": _flag("--json", "NDJSON on stdout; the same as -o json."),
    "partials": _flag("--partials", "Also what is not final yet (stderr for text)."),
    "status": _value("--status", "HOW", "auto, live, plain or off.", completion=choices_of("status")),
    "quiet": _flag("--quiet", "-q", "Nothing on stderr but errors."),
    "verbose": _flag("--verbose", "-v", "Wire events and sender state on stderr."),
    "log_file": _value("--log-file", "FILE", "The same, into a file."),
    "connect_timeout": _value("--connect-timeout", "TIME", "To reach and configure the endpoint [10]."),
    "drain_timeout": _value("--drain-timeout", "TIME", "Silence before a final is given up."),
    "retry_for": _value("--retry-for", "TIME", "Longest outage [2m, live 10m]."),
    "catch_up": _value("--catch-up", "X", "Times real time after one, or max [2]."),
    "max_session": _value("--max-session", "TIME", "Longest life of a connection."),
    "max_cost": _value("--max-cost", "AMOUNT", "End when it has cost so much (price_per_minute)."),
}
"""Options by settings key. The value None means that the command line has no such option."""
_SELECTORS = ("local", "url", "profile", "config")
"""Options that select where the values come from; ``rt config show --help`` lists only these."""

Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        "-d",
        metavar="NAME",
        help="Name, part of it, hostapi:name, or index.",
        autocompletion=complete_device,
    ),
]
PushToTalk = Annotated[bool, typer.Option("--ptt", help="Send only while talking: space, or SIGUSR1/SIGUSR2.")]
TalkFifo = Annotated[
    str | None, typer.Option("--ptt-fifo", metavar="PATH", help="The same by lines: start, stop, toggle, quit.")
]
StopAfterSilence = Annotated[
    str | None, typer.Option("--stop-after-silence", metavar="TIME", help="End after so long without speech.")
]
OnFull = Annotated[
    str | None,
    typer.Option(
        "--on-full",
        metavar="HOW",
        help="A minute waits: spool, drop-oldest, fail [spool].",
        autocompletion=choices_of("on_full"),
    ),
]
Speed = Annotated[str | None, typer.Option("--speed", metavar="X", help="Times real time, or max.")]
SpoolDir = Annotated[
    Path | None, typer.Option("--spool", metavar="DIR", help="Keep sound there until it is delivered.")
]
ResumeDir = Annotated[
    Path | None, typer.Option("--resume", metavar="DIR", help="Deliver what an earlier run left there.")
]


def with_common_options(command: Command) -> Command:
    """Add the common options to a command, which takes them as ``**values``."""
    return _with(command, COMMON)


def with_endpoint_options(command: Command) -> Command:
    """Add the options that select, reach and configure the endpoint."""
    names = list(COMMON)
    selection = [*names[: names.index("chunk_ms")], "language", "turn_detection", "extra", "connect_timeout"]
    return _with(command, {name: COMMON[name] for name in selection})


def with_bench_options(command: Command) -> Command:
    """Add the endpoint options, and those for sending sound and for transcription."""
    names = list(COMMON)
    selection = [*names[: names.index("sample_rate")], *names[names.index("language") : names.index("format")]]
    selection += ["force", "json", "status", "quiet", "connect_timeout", "drain_timeout"]
    return _with(command, {name: COMMON[name] for name in selection})


def with_run_options(command: Command) -> Command:
    """Add all options that change a run, except ``--json``. The help lists only those of ``_SELECTORS``."""
    own = {"device": Device, "speed": Speed, "stop_after_silence": StopAfterSilence, "on_full": OnFull}
    selection = {name: option for name, option in (COMMON | own).items() if name != "json"}
    return _with(
        command, {name: selection[name] if name in _SELECTORS else _hidden(selection[name]) for name in selection}
    )


def _hidden(option: Any) -> Any:
    info = copy(option.__metadata__[0])
    info.hidden = True
    return Annotated[option.__origin__, info]


def _with(command: Command, options: Mapping[str, Any]) -> Command:
    own = inspect.signature(command, eval_str=True).parameters.values()
    own_parameters = [parameter for parameter in own if parameter.kind is not inspect.Parameter.VAR_KEYWORD]
    common = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
        for name, option in options.items()
    ]
    command.__signature__ = inspect.Signature([*own_parameters, *common])  # type: ignore[attr-defined] # Typer reads it
    return command
