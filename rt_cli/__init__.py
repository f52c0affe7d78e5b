"""Realtime transcription: streams audio from a microphone, a file or a pipe to any realtime endpoint.

The library is :mod:`rt_cli.api`; its names are imported when they are first used::

    async for event in rt_cli.send("talk.wav"):
        match event:
            case rt_cli.Final(text=text):
                print(text)
"""

__version__ = "0.1.0"
TYPE_CHECKING = False
"""As in :mod:`typing`, whose import would cost more than this module."""

if TYPE_CHECKING:
    from rt_cli.api import Client, Transcript, load_settings, send, stream
    from rt_cli.errors import (
        AudioError,
        ConnectionLost,
        EndpointError,
        RefusedError,
        RtError,
        SenderBusy,
        UnreachableError,
        UsageError,
    )
    from rt_cli.events import (
        ControlChanged,
        Dropped,
        Errored,
        Event,
        Failed,
        Final,
        Latency,
        Ledger,
        Partial,
        Progress,
        RawEvent,
        SessionChanged,
        SourceOpened,
        SpeechBegan,
        SpeechEnded,
        Summary,
        Translation,
        TurnSegment,
        TurnUsage,
        Warned,
        Withdrawn,
    )
    from rt_cli.settings import (
        DeliverySettings,
        EndpointSettings,
        InputSettings,
        OutputSettings,
        SessionSettings,
        Settings,
    )

__all__ = [
    "AudioError",
    "Client",
    "ConnectionLost",
    "ControlChanged",
    "DeliverySettings",
    "Dropped",
    "EndpointError",
    "EndpointSettings",
    "Errored",
    "Event",
    "Failed",
    "Final",
    "InputSettings",
    "Latency",
    "Ledger",
    "OutputSettings",
    "Partial",
    "Progress",
    "RawEvent",
    "RefusedError",
    "RtError",
    "SenderBusy",
    "SessionChanged",
    "SessionSettings",
    "Settings",
    "SourceOpened",
    "SpeechBegan",
    "SpeechEnded",
    "Summary",
    "Transcript",
    "Translation",
    "TurnSegment",
    "TurnUsage",
    "UnreachableError",
    "UsageError",
    "Warned",
    "Withdrawn",
    "__version__",
    "load_settings",
    "send",
    "stream",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: ``import rt_cli`` alone costs nothing."""
    from importlib import import_module

    if name in __all__:
        for module in ("errors", "events", "settings", "api"):
            content = vars(import_module(f"rt_cli.{module}"))
            if name in content:
                globals()[name] = content[name]
                return content[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
