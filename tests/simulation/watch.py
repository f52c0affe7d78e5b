"""Looks into a process while it runs: what it reports, and what must hold at every step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

if TYPE_CHECKING:
    from tests.simulation.machine.world import World
    from tests.simulation.peer.endpoint import Endpoint

_LOOP_BLOCKED_S = 0.05
_MOST_WINDOW_S = 8.0
_BESIDE_S = 1.0
"""Of sound that is captured at once, beside the limit."""


class Watch:
    """The events and the marks of one process."""

    present: Watch | None = None

    def __init__(self, world: World, endpoint: Endpoint, memory_s: float) -> None:
        self.events: list[Any] = []
        """What the streamer reports, in order."""
        self.tapes: list[Any] = []
        self.senders: list[Any] = []
        self.marks: list[Any] = []
        self.memory_s = memory_s
        self.drops = False
        """Whether sound that waits for too long is dropped."""
        self._world = world
        self._endpoint = endpoint
        self._received_before = endpoint.received
        self._marks: dict[int, tuple[int, int, int, int]] = {}

    def __enter__(self) -> None:
        Watch.present = self

    def __exit__(self, *_: object) -> None:
        Watch.present = None

    def event(self, event: Any) -> None:
        """Note an event of the streamer."""
        if type(event).__name__ != "Progress":
            self.events.append(event)
        if self._world.log is not None and type(event).__name__ != "Progress":
            self._world.note(f"rt: {event}")

    def step(self) -> None:
        """Check what must hold whenever the loop waits."""
        world = self._world
        for tape in self.tapes:
            marks = (tape.captured, tape.sent, tape.acknowledged, tape.settled)
            before = self._marks.get(id(tape))
            if marks == before:
                continue
            self._marks[id(tape)] = marks
            if not marks[0] >= marks[1] >= marks[2] >= marks[3]:
                world.violated(f"marks out of order: captured, sent, acknowledged, settled = {marks}")
            if not tape.ledger().balanced:
                world.violated(f"the ledger does not balance: {tape.ledger()}")
            if before is not None and (marks[0] < before[0] or marks[3] < before[3]):
                world.violated("captured or settled went back")
            if before is not None and (marks[1] < before[1] or marks[2] < before[2]) and not tape.rewound:
                world.violated("sent or acknowledged went back without a new connection")
            tape.rewound = False
            waiting = marks[0] - max(marks[1], tape.oldest) - tape.dropped
            if self.drops and waiting > (self.memory_s + _BESIDE_S) * tape.rate_hz:
                world.violated(f"{waiting / tape.rate_hz:.1f} s of sound wait, with memory for {self.memory_s:g} s")
        for marks in self.marks:
            # Between connections nothing is on the wire.
            if marks._sender is not None and marks._session.wire.position != marks._tape.sent:  # noqa: SLF001
                world.violated("the end of what is on the wire is not the mark of what is sent")
        acknowledged = sum(sender.acknowledged for sender in self.senders)
        if acknowledged > self._endpoint.received - self._received_before:
            world.violated("more is acknowledged than the endpoint was given")
        for sender in self.senders[-2:]:
            # The window may shrink under what is in flight.
            sender.allowed = max(sender.allowed if sender.in_flight else 0, sender.window)
            if sender.in_flight > sender.allowed and sender.in_flight > sender.largest:
                world.violated("more than the window, and more than one chunk, is unacknowledged")
            if sender.in_flight > _MOST_WINDOW_S * 24_000 + sender.largest:
                world.violated("more than eight seconds are unacknowledged")
        if world.blocked_for > _LOOP_BLOCKED_S:
            world.violated(f"the event loop was blocked for {world.blocked_for:.3f} s")


def install() -> None:
    """Let tapes, senders and streamers be known to the present watch."""
    from rt_cli.streaming import streamer
    from rt_cli.streaming.delivery import marks, sender
    from rt_cli.timeline import tape

    _wrap(tape.Tape, "tapes")
    _wrap(sender.Sender, "senders")
    _wrap(marks.Marks, "marks")
    rewind = tape.Tape.rewind

    def rewind_noted(self: Any, **options: Any) -> Any:
        self.rewound = True
        return rewind(self, **options)

    tape.Tape.rewind = rewind_noted  # type: ignore[method-assign]
    tape.Tape.rewound = False  # type: ignore[attr-defined]
    _note_chunks(sender.Sender)
    init = streamer.Streamer.__init__

    def init_noted(self: Any, job: Any, clock: Any, on_event: Any, **options: Any) -> None:
        watch = Watch.present

        def handle(event: Any) -> None:
            if watch is not None:
                watch.event(event)
            on_event(event)

        memory_s = job.memory_s
        if watch is not None:
            memory_s, watch.drops = watch.memory_s, job.settings.delivery.on_full == "drop-oldest"
        init(self, replace(job, memory_s=memory_s), clock, handle, **options)

    streamer.Streamer.__init__ = init_noted  # type: ignore[method-assign]


def _wrap(kind: Any, name: str) -> None:
    init = kind.__init__

    def init_noted(self: Any, *args: Any, **options: Any) -> None:
        init(self, *args, **options)
        if Watch.present is not None:
            getattr(Watch.present, name).append(self)

    kind.__init__ = init_noted


def _note_chunks(kind: Any) -> None:
    """Note the largest write of each sender: one of them may always be under way."""
    kind.largest = kind.allowed = 0
    for name in ("audio", "audio_at_once"):
        method = getattr(kind, name)

        def noted(self: Any, messages: Any, samples: int, method: Any = method) -> Any:
            self.largest = max(self.largest, samples)
            return method(self, messages, samples)

        setattr(kind, name, noted)
