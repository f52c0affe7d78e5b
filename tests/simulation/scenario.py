"""What happens in a run: drawn from its seed, readable as JSON, smaller on request. Pure."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator

Command = Literal["send", "pipe", "stream", "mic"]
"""``rt send FILE``, ``rt send -``, ``rt stream -``, ``rt stream --mic``."""


class Line(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What connections are like."""

    latency: float = 0.02
    """One way, seconds."""
    jitter: float = 0.0
    bandwidth: float = 12_500_000.0
    """Bytes per second."""
    buffer: int = 1 << 18
    """Bytes that the way and the peer take while nobody reads."""
    syn_timeout: float = 60.0
    handshake: float = 0.0
    """Seconds until the answer to the handshake."""


class Dials(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the endpoint is like."""

    ids: Literal["right", "none", "one", "strange", "at the start"] = "right"
    offsets: Literal["session", "buffer", "none"] = "session"
    prefix_ms: int = 0
    """Prefix padding in the start of a turn."""
    deltas: Literal["none", "one", "many", "updated", "status"] = "one"
    """Partials: none, appended, or as snapshots of either kind."""
    detects: Literal["asked", "always"] = "asked"
    """Whether it makes turns only where it is asked to."""
    commits: Literal["answered", "refused", "ignored"] = "answered"
    """Commits while it makes the turns."""
    updated: Literal["answered", "never", "late", "rate"] = "answered"
    created_s: float = 0.0
    final_s: float = 0.1
    """Seconds until a final."""
    spread_s: float = 0.0
    """Chance in that."""
    in_order: bool = True
    """Whether finals come in the order of their turns."""
    serial: bool = False
    """Whether nothing is said of later turns before a final."""
    doubled: float = 0.0
    """Share of finals that come twice."""
    failed: float = 0.0
    never: float = 0.0
    pongs: bool = True
    invents: bool = False
    """Words for sound without speech."""
    lifetime_s: float | None = None
    announced: bool = True
    ending: Literal["close", "error", "silent"] = "close"
    one_session: int | None = None
    """HTTP status or close code for a second session beside the first."""
    busy: tuple[tuple[int, str], ...] = ()
    """HTTP status and Retry-After of the first answers."""
    quota_s: float | None = None
    """Seconds of sound until the quota is used up."""
    refused: tuple[int, ...] = ()
    """Numbers of appends that are refused."""
    flood: int = 0
    """Events of no meaning for each append."""
    clears: bool = True
    """Whether it answers a clear."""
    previous: bool = True
    """Whether ``committed`` names the item before it."""


class Fault(Struct, frozen=True, omit_defaults=True):
    """Something that happens at a moment."""

    at: float
    """Seconds after the start."""
    kind: str
    lasts: float = 0.0
    value: int = 0


class Scenario(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run."""

    seed: int
    command: Command = "send"
    turns: tuple[tuple[int, int], ...] = ((600, 400),)
    """Milliseconds of speech, and of silence behind it."""
    before_ms: int = 0
    """Silence at the start."""
    turn_detection: Literal["server_vad", "client", "none"] = "server_vad"
    silence_ms: int = 200
    options: tuple[str, ...] = ()
    text: bool = False
    """Finals as text instead of NDJSON."""
    spool: bool = False
    line: Line = Line()
    dials: Dials = Dials()
    faults: tuple[Fault, ...] = ()
    thread_delay: float = 0.0
    reader_rate: float = 1e9
    """Bytes per second that the reader of stdout takes."""
    memory_s: float = 60.0
    """Seconds of sound in memory."""
    deaf: bool = False
    """Our detector hears no speech where the endpoint does."""

    @property
    def length_s(self) -> float:
        """Length of the sound."""
        return (self.before_ms + sum(speech + silence for speech, silence in self.turns)) / 1000

    @property
    def live(self) -> bool:
        """Whether the source cannot wait."""
        return self.command in {"stream", "mic"}

    def json(self) -> str:
        """Return it as one line."""
        return msgspec.json.encode(self).decode()


def from_json(text: str) -> Scenario:
    """Return the scenario of a line."""
    return msgspec.json.decode(text, type=Scenario)


_NETWORK = ("reset", "fin", "black_hole", "stop_reading", "refuse", "unreachable", "nameless", "silent_loss")
_SERVER = ("close", "error", "garbage", "ping_flood")
_MACHINE = ("stall", "sleep", "wall_jump")
_PASSING = 0.1
"""Share of runs with troubles that pass alone."""
_DEAF = 0.15
"""Share of the runs with turns of the endpoint in which our detector hears no speech."""
_CLOSES = (1000, 1001, 1006, 1008, 1009, 1011, 1012, 1013)


def draw(seed: int, *, hours: float = 0.0) -> Scenario:
    """Return the scenario of a seed.

    Args:
        seed: Of all its choices.
        hours: Length of the sound; 0 for some seconds.
    """
    chance = random.Random(f"scenario {seed}")
    command: Command = chance.choice(("send", "send", "pipe", "stream", "stream", "mic"))
    turns = tuple(_turns(chance, hours))
    calm = chance.random() < 0.1
    text = chance.random() < 0.2
    scenario = Scenario(
        seed=seed,
        command=command,
        turns=turns,
        before_ms=chance.choice((0, 0, 100, 1000)),
        turn_detection=chance.choice(("server_vad", "server_vad", "client", "none")),
        silence_ms=chance.choice((200, 200, 300, 500)),
        text=text,
        spool=command in {"send", "stream", "mic"} and chance.random() < 0.4,
        line=_line(chance),
        dials=Dials() if calm else _dials(chance),
        thread_delay=chance.choice((0.0, 0.0, 0.001, 0.02)),
        reader_rate=chance.choice((1e9, 1e9, 1e9, 20_000.0)),
    )
    scenario = msgspec.structs.replace(scenario, options=tuple(_options(chance, scenario)))
    if scenario.dials.offsets == "buffer":
        scenario = _told_apart(scenario)
    faults = () if calm else tuple(sorted(_faults(chance, scenario), key=lambda fault: fault.at))
    if scenario.dials.offsets == "buffer":
        faults = tuple(fault for fault in faults if fault.kind != "sleep")
    deaf = scenario.turn_detection == "server_vad" and random.Random(f"deaf {seed}").random() < _DEAF
    scenario = msgspec.structs.replace(scenario, faults=faults, deaf=deaf)
    chance = random.Random(f"variant {seed}")  # of its own: the other choices stay as they are
    if "--on-full" in scenario.options:
        small = chance.random() < 0.5
        return msgspec.structs.replace(scenario, memory_s=2.0) if small else _passing(chance, scenario)
    return _passing(chance, scenario) if not hours and chance.random() < _PASSING else scenario


def _passing(chance: random.Random, scenario: Scenario) -> Scenario:
    """Return it with troubles that pass alone: sessions that end, and a short outage. All of it must arrive."""
    line, lifetime = scenario.line, chance.choice((None, 6.0, 10.0))
    turns = tuple((min(speech, 700), min(max(silence, 650), 1200)) for speech, silence in scenario.turns)
    turns *= 1 if lifetime is None else 1 + round(15_000 / sum(map(sum, turns)))
    detection = "server_vad" if lifetime and scenario.turn_detection == "none" else scenario.turn_detection
    scenario = msgspec.structs.replace(
        scenario,
        turns=turns[:20],
        turn_detection=detection,
        line=msgspec.structs.replace(
            line, latency=min(line.latency, 0.1), jitter=min(line.jitter, 0.05), handshake=min(line.handshake, 0.5)
        ),
        dials=Dials(
            lifetime_s=lifetime,
            announced=chance.random() < 0.5,
            ending=chance.choice(("close", "error", "silent")),
            one_session=chance.choice((None, None, 429, 503, 1013)),
        ),
    )
    at = round(chance.uniform(3.5, max(4.0, scenario.length_s)), 2)
    outage = Fault(at, chance.choice(_NETWORK), chance.choice((0.3, 2.0, 5.0)))
    return msgspec.structs.replace(scenario, faults=(outage,) if chance.random() < 0.5 else ())


def _told_apart(scenario: Scenario) -> Scenario:
    """Return it with turns whose offsets show that they count from the last commit: they go back.

    A refusal is a hole, which makes two short turns of one when it is sent again; a suspend is a long pause.
    """
    turns = tuple((max(speech, 600), min(silence, 350)) for speech, silence in scenario.turns)
    dials = msgspec.structs.replace(scenario.dials, refused=())
    return msgspec.structs.replace(scenario, turns=turns, before_ms=0, dials=dials)


def _turns(chance: random.Random, hours: float) -> Iterator[tuple[int, int]]:
    left_s = 3600 * hours or chance.choice((0.5, 2.0, 4.0, 8.0, 8.0, 20.0))
    while left_s > 0:
        speech = chance.choice((110, 200, 600, 600, 1500, 4000)) + chance.randrange(50)
        silence = chance.choice((100, 350, 600, 600, 1200, 3000)) + chance.randrange(50)
        if chance.random() < 0.02:
            silence += 40_000
        yield speech, silence
        left_s -= (speech + silence) / 1000
    if chance.random() < 0.5:
        yield chance.choice((110, 300, 1000)), 0


def _line(chance: random.Random) -> Line:
    return Line(
        latency=chance.choice((0.0, 0.02, 0.02, 0.1, 0.4)),
        jitter=chance.choice((0.0, 0.0, 0.05, 0.5)),
        bandwidth=chance.choice((12_500_000.0, 12_500_000.0, 200_000.0, 80_000.0)),
        buffer=chance.choice((1 << 16, 1 << 18, 1 << 22)),
        handshake=chance.choice((0.0, 0.0, 0.0, 0.5, 3.0)),
    )


def _dials(chance: random.Random) -> Dials:
    def rarely(value: Any, usual: Any, share: float = 0.1) -> Any:
        return value if chance.random() < share else usual

    lifetime = rarely(chance.choice((4.0, 6.0, 10.0)), None, 0.15)
    ids = rarely(chance.choice(("none", "one", "strange", "at the start")), "right", 0.2)
    refused = rarely((chance.randrange(1, 12),), (), 0.05)
    dials = Dials(
        ids=ids,
        offsets=rarely(chance.choice(("buffer", "none")), "session", 0.2),
        prefix_ms=rarely(chance.choice((100, 300)), 0, 0.3),
        deltas=chance.choice(("none", "one", "one", "many", "updated", "status")),
        detects=rarely("always", "asked", 0.05),
        commits=rarely(chance.choice(("refused", "ignored")), "answered", 0.2),
        updated=rarely(chance.choice(("never", "late", "rate")), "answered", 0.08),
        created_s=rarely(chance.choice((0.5, 2.0)), 0.0),
        final_s=chance.choice((0.0, 0.1, 0.1, 0.5, 2.0)),
        spread_s=rarely(chance.choice((0.3, 2.0)), 0.0, 0.3),
        # Words without the id of their turn can be told apart by their order alone.
        in_order=rarely(False, True, 0.2) or ids != "right",
        serial=rarely(True, False, 0.2),
        doubled=rarely(0.3, 0.0) if ids == "right" else 0.0,
        failed=rarely(0.2, 0.0),
        # Without ids nobody can tell: words of a later turn take the place of those that never come.
        never=rarely(0.2, 0.0) if ids == "right" else 0.0,
        pongs=rarely(False, True, 0.05),
        # It may invent words for the silence that is left of speech whose first part it refused.
        invents=rarely(True, False, 0.2) and not refused,
        lifetime_s=lifetime,
        announced=chance.random() < 0.7,
        ending=chance.choice(("close", "error", "silent")),
        one_session=rarely(chance.choice((429, 503, 1008, 1013)), None),
        busy=rarely(((429, chance.choice(("1", "0.5", "soon", "-3", "Fri, 01 Jan 2027 00:00:00 GMT"))),), ()),
        quota_s=rarely(chance.choice((1.0, 5.0)), None, 0.03),
        refused=refused,
        flood=rarely(chance.choice((3, 40)), 0, 0.05),
        clears=rarely(False, True, 0.3),
        previous=rarely(False, True),
    )
    # An endpoint that says nothing of the last speech before it has earlier words is asked for it in time, by a commit:
    # it may then have only the silence behind that speech left.
    return msgspec.structs.replace(dials, invents=dials.invents and not dials.serial)


def _options(chance: random.Random, scenario: Scenario) -> Iterator[str]:
    yield from ("--retry-for", chance.choice(("20", "60")))
    yield from ("--connect-timeout", "5")
    far = scenario.line.latency + scenario.line.jitter > 0.2
    yield from ("--drain-timeout", chance.choice(("10", "10") if far else ("3", "10")))
    if not scenario.live:
        yield from ("--speed", chance.choice(("max", "max", "1", "4")) if scenario.command == "send" else "max")
    if chance.random() < 0.4:
        yield from ("--chunk-ms", chance.choice(("20", "100", "200", "1000")))
    elif scenario.live:
        yield from ("--chunk-ms", "100")
    if chance.random() < 0.1:
        yield from ("--max-session", chance.choice(("4", "8")))
    if scenario.live and not scenario.spool and chance.random() < 0.15:
        yield from ("--on-full", chance.choice(("drop-oldest", "fail")))
    if chance.random() < 0.2:
        yield from ("--catch-up", chance.choice(("1", "4", "max")))
    if chance.random() < 0.2:
        yield "--partials"


def _faults(chance: random.Random, scenario: Scenario) -> Iterator[Fault]:
    span = scenario.length_s + 3

    def moment() -> float:
        return round(chance.uniform(0, span), 2)

    def lasting() -> float:
        return chance.choice((0.3, 2.0, 5.0, 12.0, 30.0))

    for _ in range(chance.choice((0, 0, 1, 1, 2, 4))):
        yield Fault(moment(), chance.choice(_NETWORK), lasting())
    if chance.random() < 0.15:
        yield Fault(moment(), chance.choice(_SERVER), value=chance.choice(_CLOSES))
    if chance.random() < 0.15:
        yield Fault(moment(), chance.choice(_MACHINE), chance.choice((0.1, 1.0, 7.0, 60.0, 300.0)))
    if chance.random() < 0.15:
        yield Fault(moment(), chance.choice(("reader_slow", "reader_slow", "reader_gone")), lasting())
    if scenario.spool and chance.random() < 0.3:
        yield Fault(moment(), chance.choice(("disk_slow", "disk_full")), lasting())
    if scenario.spool and chance.random() < 0.5:
        yield Fault(moment(), chance.choice(("kill", "kill_in_record")), value=chance.randrange(1000))
    if scenario.command == "mic" and scenario.dials.offsets != "buffer" and chance.random() < 0.2:
        yield Fault(moment(), "device_lost", chance.choice((0.1, 1.0)))
    for _ in range(chance.choice((0, 0, 0, 1, 2, 3)) if chance.random() < 0.5 else 0):
        yield Fault(moment(), "signal", value=chance.choice((2, 2, 15)))


def smaller(scenario: Scenario) -> Iterator[Scenario]:
    """Yield scenarios that are a little simpler, the boldest first."""
    replace = msgspec.structs.replace
    if len(scenario.faults) > 1:
        yield replace(scenario, faults=())
    for index in range(len(scenario.faults)):
        yield replace(scenario, faults=scenario.faults[:index] + scenario.faults[index + 1 :])
    count = len(scenario.turns)
    if count > 1:
        yield replace(scenario, turns=scenario.turns[: count // 2])
        yield replace(scenario, turns=scenario.turns[:-1])
        yield replace(scenario, turns=scenario.turns[1:])
    for part in ("dials", "line"):
        value = getattr(scenario, part)
        plain = type(value)()
        if value != plain:
            yield replace(scenario, **{part: plain})
        for name in value.__struct_fields__:
            if getattr(value, name) != getattr(plain, name):
                yield replace(scenario, **{part: replace(value, **{name: getattr(plain, name)})})
    plain_scenario = Scenario(seed=0)
    for name in (
        "before_ms",
        "text",
        "spool",
        "thread_delay",
        "reader_rate",
        "silence_ms",
        "turn_detection",
        "memory_s",
        "deaf",
    ):
        if getattr(scenario, name) != getattr(plain_scenario, name):
            yield replace(scenario, **{name: getattr(plain_scenario, name)})
    for name in ("--partials", "--catch-up", "--on-full", "--max-session", "--chunk-ms"):
        if name in scenario.options:
            at = scenario.options.index(name)
            width = 1 if name == "--partials" else 2
            yield replace(scenario, options=scenario.options[:at] + scenario.options[at + width :])
