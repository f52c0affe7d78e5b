"""The frozen settings: values only. Where they come from is the business of ``commands``.

``None`` is *auto*: the value depends on the source or the endpoint and is decided there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

TurnDetection = Literal["server_vad", "semantic_vad", "client", "none"]
"""Who makes the turns: the endpoint by energy or meaning, ``rt`` itself, or nobody."""
OutputFormat = Literal["text", "json", "srt", "vtt"]
StatusMode = Literal["auto", "live", "plain", "off"]
OnFull = Literal["spool", "drop-oldest", "fail"]
"""What becomes of live sound when a minute of it waits: to disk, the oldest is given up, or the end."""
Encoding = Literal["s16le", "s24le", "s32le", "f32le", "mulaw", "alaw"]


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """Where the sound goes."""

    local: bool = False
    """Use the embedded endpoint whatever else is configured."""
    url: str | None = None
    """http, https, ws or wss; with or without ``/v1`` or ``/realtime``."""
    dialect: str | None = None
    model: str | None = None
    cacert: str | None = None
    """PEM file of additional certificate authorities."""
    client_cert: str | None = None
    """PEM file of the certificate that is shown to the endpoint."""
    client_key: str | None = None
    """PEM file of its key, where that is another one."""
    insecure: bool = False
    """Do not check the endpoint's certificate."""
    proxy: str | None = None
    """URL; None goes by the environment."""
    headers: tuple[tuple[str, str], ...] = ()
    """More headers of the handshake."""
    api_key_file: str | None = None
    api_key_cmd: str | None = None
    key_env: str | None = field(default=None, metadata={"only": "profiles"})
    """Environment variable that holds the key; a profile names it, and so says that the key belongs there."""
    price_per_minute: float | None = None
    """Of the sound that is sent."""
    currency: str = "USD"
    """Of the price: any text."""
    profile: str | None = field(default=None, metadata={"only": "rt"})
    """The profile that the URL comes from, set by the loader; ``RT_API_KEY`` does not go there."""


@dataclass(frozen=True, slots=True)
class InputSettings:
    """Where the sound comes from."""

    device: str | None = None
    """Name, substring, ``hostapi:name`` or index of a microphone; None is the system's default."""
    chunk_ms: int | None = None
    """10..1000; None: 40 for a microphone, 100 for a file at real time, up to 1000 faster than that."""
    duration_s: float | None = None
    sample_rate: int = 24_000
    """Hertz, of raw PCM from stdin."""
    channels: int = 1
    """Of raw PCM from stdin."""
    encoding: Encoding = "s16le"
    channel: str = "mix"
    """Which channels are heard: ``mix`` (their average), ``left``, ``right``, a number from 1, or ``split``: the first
    two, a session for each."""
    gain: float = 0.0
    """Decibels that the sound is made louder by before it is sent."""
    gate: bool = False
    """Send only what is near speech."""
    stop_after_silence_s: float | None = None
    """A live source ends after so long without speech."""
    ptt: bool = field(default=False, metadata={"only": "rt"})
    """Push to talk: send only what is said while talking."""
    ptt_fifo: str | None = field(default=None, metadata={"only": "rt"})
    """A FIFO whose lines say when that is."""


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """What is asked of the endpoint."""

    language: str | None = None
    prompt: str | None = None
    turn_detection: TurnDetection | None = None
    vad_threshold: float = 0.5
    """Probability, 0..1."""
    silence_ms: int = 500
    """Silence that ends a turn."""
    prefix_ms: int = 300
    """Audio kept before the detected start of speech."""
    max_turn_s: float = 30.0
    """Longest turn that ``rt`` makes itself."""
    noise_reduction: Literal["near_field", "far_field"] | None = None
    extra: tuple[tuple[str, object], ...] = ()
    """``--set path=value``: dotted paths into the session object, applied last."""


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """How hard to try."""

    speed: float | None = None
    """Multiple of real time; ``inf`` is as fast as the endpoint reads; None: inf for the embedded one, else 1."""
    connect_timeout_s: float = 10.0
    drain_timeout_s: float | None = None
    """Silence from the endpoint, not the total, after which a missing final is given up.

    None: 10, for the embedded endpoint 60: it shares this machine, and a busy machine is no reason to lose words.
    """
    retry_for_s: float | None = None
    """How long an outage is waited out; None: 600 for a live source, 120 for others."""
    catch_up: float | None = None
    """Times real time for what waits; ``inf`` has no limit; None: inf for the embedded endpoint, else 2."""
    on_full: OnFull = "spool"
    """Of a live source; others wait instead."""
    max_cost: float | None = None
    """No more is captured when what is sent costs so much."""
    max_session_s: float | None = None
    """A connection hands over to a new one before it is so old; None: when the endpoint says that it expires."""


@dataclass(frozen=True, slots=True)
class OutputSettings:
    """What is printed."""

    format: OutputFormat = "text"
    timestamps: bool = False
    """Lines of text begin with the start of their turn."""
    save_transcript: str | None = None
    """The results again, in a file; its name says the format."""
    save_audio: str | None = None
    """A WAV file of what was captured."""
    output_dir: str | None = None
    """A folder that gets a file of results for each source, instead of stdout."""
    record: str | None = field(default=None, metadata={"only": "rt"})
    """A file that keeps what crosses the wire."""
    record_audio: bool = field(default=False, metadata={"only": "rt"})
    """With the sound, not only its size."""
    force: bool = False
    """``save_transcript``, ``save_audio`` and ``record`` may replace files."""
    partials: bool = False
    status: StatusMode = "auto"
    quiet: bool = False
    verbose: bool = False
    log_file: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a run needs to know."""

    endpoint: EndpointSettings = field(default_factory=EndpointSettings)
    input: InputSettings = field(default_factory=InputSettings)
    session: SessionSettings = field(default_factory=SessionSettings)
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    output: OutputSettings = field(default_factory=OutputSettings)
