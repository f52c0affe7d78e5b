"""The plan of a run, made before anything is opened: endpoint, key, turn detection, session."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rt_cli.errors import UsageError
from rt_cli.keys.fetch import find_key
from rt_cli.masking import protect
from rt_cli.protocol.endpoint.endpoint import EMBEDDED_MODEL, Trust, choose, resolve, trust_of
from rt_cli.protocol.endpoint.key_source import clean_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rt_cli.protocol.dialects.dialect import SessionRequest
    from rt_cli.protocol.endpoint.endpoint import Choice, Endpoint
    from rt_cli.server.recognition.registry import Spec
    from rt_cli.settings import Settings, TurnDetection

    Conversation = Callable[[Endpoint, TurnDetection | None], SessionRequest]
    """Returns the session to ask an endpoint for, with the turn detection that the user wants."""

_PLACEHOLDER_URL = "ws://127.0.0.1/v1/realtime"
"""Placeholder URL of the embedded endpoint, which is not listening yet."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The decisions of a run that follow from its settings and the environment."""

    choice: Choice
    key: str | None = field(repr=False)
    session: SessionRequest
    recognizer: Spec | None = None
    """Recogniser of the embedded endpoint; None for another endpoint."""
    conversation: bool = False
    """The session is a conversation."""

    @property
    def embedded(self) -> bool:
        """Whether the run must start the embedded endpoint."""
        return self.choice.url is None


def make_plan(
    settings: Settings,
    environ: Mapping[str, str],
    *,
    key: str | None = None,
    conversation: Conversation | None = None,
) -> Plan:
    """Make the plan of a run. Blocks while a key command runs.

    Args:
        settings: Of the run.
        environ: Variables that may choose the endpoint and hold its key.
        key: The key for the URL, in place of one that is looked for.
        conversation: Asks for a conversation; None for a transcription.

    Raises:
        UsageError: Settings that contradict each other or the endpoint.
        RefusedError: The endpoint needs a key, and no key is configured.
        EndpointError: The embedded endpoint has no usable recogniser on this machine.
    """
    if settings.delivery.max_cost is not None and not settings.endpoint.price_per_minute:
        raise UsageError(
            "--max-cost without a price", "set price_per_minute, in the config file or RT_PRICE_PER_MINUTE"
        )
    choice = choose(settings.endpoint, environ)
    # The URL of a translation is written like that of a conversation.
    converses = conversation is not None or settings.session.translate is not None
    if choice.url is None:
        key = None
    elif key is None:
        key = find_key(
            settings.endpoint,
            choice.url,
            environ,
            conversation=converses,
            session_type=settings.session.session_type,
        )
    else:
        key = clean_key(key, "the key")
        protect([key])
    if (trust := trust_of(settings.endpoint)) != Trust():
        from rt_cli.streaming.transport.tls import tls_context

        tls_context(trust)
    recognizer = None
    if choice.url is None:
        from rt_cli.server.recognition.registry import check_words, choose_engine

        recognizer = choose_engine()
    endpoint = endpoint_of(settings, key, choice.url or _PLACEHOLDER_URL, recognizer, conversation=converses)
    if endpoint.url.startswith("wss:"):
        from rt_cli.streaming.transport.tls import check_tls_variables

        check_tls_variables()
    turn_detection = settings.session.turn_detection
    _check_translation(settings)
    if settings.input.ptt:
        turn_detection = _push_to_talk_turns(turn_detection, gate=settings.input.gate)
    if conversation is not None:
        session = conversation(endpoint, turn_detection)
    else:
        session = endpoint.request(settings.session, turn_detection)
    if recognizer is not None:
        check_words(recognizer)
    return Plan(choice, key, session, recognizer, converses)


def _push_to_talk_turns(turn_detection: TurnDetection | None, *, gate: bool) -> TurnDetection:
    """Return the turn detection for push to talk: always ``client``, because the keys open and close the turns."""
    if turn_detection not in {None, "client"}:
        raise UsageError(f"--ptt makes the turns, not {turn_detection}", "leave out --turn-detection")
    if gate:
        raise UsageError("both --ptt and --gate say what is sent", "give one of them")
    return "client"


def endpoint_of(
    settings: Settings, key: str | None, url: str, recognizer: Spec | None, *, conversation: bool = False
) -> Endpoint:
    """Return the endpoint of the settings, at this URL; with a recogniser it is the embedded one."""
    wanted = settings.session.session_type
    translates = settings.session.translate is not None
    endpoint = resolve(
        settings.endpoint,
        url,
        key,
        embedded=recognizer is not None,
        embedded_model=recognizer.kind if recognizer is not None else EMBEDDED_MODEL,
        conversation=conversation,
        session_type=wanted,
    )
    if not translates:
        return endpoint
    return endpoint.translating(settings.endpoint.model or (recognizer.kind if recognizer is not None else None))


def _check_translation(settings: Settings) -> None:
    """Refuse what a translation cannot have. Raises UsageError."""
    for option, given in (("--gate", settings.input.gate), ("--ptt", settings.input.ptt)):
        if given and settings.session.translate is not None:
            raise UsageError(
                f"{option} leaves out sound, and a translation counts time by the sound", "leave out one of them"
            )
