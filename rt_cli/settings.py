"""The settings, frozen values. :mod:`rt_cli.config` loads them from options, environment and file.

``None`` means *auto*: the value depends on the source or the endpoint.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

TurnDetection = Literal["server_vad", "semantic_vad", "client", "none"]
"""Turn detection: by the endpoint (speech energy or meaning), by ``rt``, or none."""
OutputFormat = Literal["text", "json", "srt", "vtt"]
StatusMode = Literal["auto", "live", "plain", "off"]
OnFull = Literal["spool", "drop-oldest", "fail"]
"""When a minute of live audio waits: write it to disk, drop the oldest, or end the run."""
Encoding = Literal["s16le", "s24le", "s24_32le", "s32le", "f32le", "mulaw", "alaw"]
"""Encoding of raw PCM. ``s24_32le``: 24 bits in the lower three of four bytes, ALSA's S24_LE."""


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """Endpoint, key, certificates, proxy and price."""

    local: bool = False
    """Use the embedded endpoint, even if another endpoint is configured."""
    url: str | None = None
    """http, https, ws or wss; with or without ``/v1`` or ``/realtime``."""
    dialect: str | None = None
    model: str | None = None
    cacert: str | None = None
    """PEM file of additional certificate authorities."""
    client_cert: str | None = None
    """PEM file of the client certificate."""
    client_key: str | None = None
    """PEM file of the certificate's key, if that is another file."""
    insecure: bool = False
    """Do not check the endpoint's certificate."""
    proxy: str | None = None
    """URL; None: use the environment."""
    headers: tuple[tuple[str, str], ...] = ()
    """Extra headers of the handshake."""
    api_key_file: str | None = None
    api_key_cmd: str | None = None
    key_env: str | None = field(default=None, metadata={"only": "profiles"})
    """Environment variable of the key, set by a profile: the key belongs to the URL of that profile."""
    price_per_minute: float | None = None
    """Price of a minute of sent audio."""
    currency: str = "USD"
    """Currency of the price; any text."""
    profile: str | None = field(default=None, metadata={"only": "rt"})
    """The profile that the URL comes from, set by the loader; ``RT_API_KEY`` is not used for it."""


@dataclass(frozen=True, slots=True)
class InputSettings:
    """Audio input."""

    device: str | None = None
    """Name, substring, ``hostapi:name`` or index of a microphone; None: the default of the system."""
    chunk_ms: int | None = None
    """10..1000; None: 40 for a microphone, 100 for a file at real time, up to 1000 faster than that."""
    duration_s: float | None = None
    sample_rate: int = 24_000
    """Sample rate of raw PCM from stdin, Hz."""
    channels: int = 1
    """Channels of raw PCM from stdin."""
    encoding: Encoding | None = None
    """Encoding of raw PCM from stdin; None: s16le, and input that is in another format is recognised."""
    channel: str = "mix"
    """Channels to send: ``mix`` (their average), ``left``, ``right``, a number from 1, or ``split``: the first
    two, a session for each."""
    gain: float = 0.0
    """Gain before sending, dB."""
    gate: bool = False
    """Send only audio near speech."""
    stop_after_silence_s: float | None = None
    """End a live source after this time without speech."""
    ptt: bool = field(default=False, metadata={"only": "rt"})
    """Push-to-talk: send audio only while talking."""
    ptt_fifo: str | None = field(default=None, metadata={"only": "rt"})
    """A FIFO whose lines start and stop talking."""


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """Session parameters for the endpoint."""

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
    """Maximum length of a turn detected by ``rt``."""
    noise_reduction: Literal["near_field", "far_field"] | None = None
    extra: tuple[tuple[str, object], ...] = ()
    """``--set path=value``: dotted paths into the session object, applied last."""


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """Pace, timeouts, retries and limits."""

    speed: float | None = None
    """Multiple of real time; ``inf``: as fast as the endpoint reads; None: inf for the embedded endpoint, else 1."""
    connect_timeout_s: float = 10.0
    drain_timeout_s: float | None = None
    """Time without any event of the endpoint (not the total) after which a missing final is given up.

    None: 10; 60 for the embedded endpoint, because it shares this machine, which may be busy.
    """
    retry_for_s: float | None = None
    """How long to retry during an outage; None: 600 for a live source, 120 for others."""
    catch_up: float | None = None
    """Speed for waiting audio, multiple of real time; ``inf``: no limit; None: inf if embedded, else 2."""
    on_full: OnFull = "spool"
    """Only for live sources; other sources wait."""
    max_cost: float | None = None
    """Stop capture when the sent audio costs this much."""
    max_session_s: float | None = None
    """Replace a connection before it reaches this age; None: before the expiry that the endpoint announces."""


@dataclass(frozen=True, slots=True)
class OutputSettings:
    """Results, status, logs and files."""

    format: OutputFormat = "text"
    timestamps: bool = False
    """Begin lines of text with the start of their turn."""
    save_transcript: str | None = None
    """A file for a copy of the results; its extension selects the format."""
    save_audio: str | None = None
    """A WAV file for the captured audio."""
    output_dir: str | None = None
    """A folder for one result file per source, instead of stdout."""
    record: str | None = field(default=None, metadata={"only": "rt"})
    """A file for a recording of all WebSocket messages."""
    record_audio: bool = field(default=False, metadata={"only": "rt"})
    """Record the audio, not only its size."""
    force: bool = False
    """Allow ``save_transcript``, ``save_audio`` and ``record`` to replace files."""
    partials: bool = False
    status: StatusMode = "auto"
    quiet: bool = False
    verbose: bool = False
    log_file: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a run."""

    endpoint: EndpointSettings = field(default_factory=EndpointSettings)
    input: InputSettings = field(default_factory=InputSettings)
    session: SessionSettings = field(default_factory=SessionSettings)
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    output: OutputSettings = field(default_factory=OutputSettings)
