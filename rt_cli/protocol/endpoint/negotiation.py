"""Which session to ask an endpoint for whose protocol is not known in full, where it refuses the one before. Pure.

What is asked for first is what most endpoints take: a transcription, the model in the URL, turns of the endpoint. A
refusal names what to change; an endpoint that refuses everything has refused the first session, and says why.

Some servers are recognised, by their greeting or by what they refuse: they are asked in their own dialect.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from rt_cli.errors import EndpointError, RefusedError, RtError, UsageError
from rt_cli.protocol.dialects import DIALECTS
from rt_cli.protocol.error_policy import MODEL_CODES, TURNS_OFF, is_about_model

if TYPE_CHECKING:
    from rt_cli.protocol.dialects.dialect import SessionRequest
    from rt_cli.protocol.endpoint.endpoint import Endpoint
    from rt_cli.protocol.server_events import ErrorInfo
    from rt_cli.settings import SessionSettings

Subject = Literal["turns", "kind", "any session"]

_TURNS = re.compile(r"turn[_ ]detection")
_KIND = re.compile(
    r"\bsession[._ ]type\b|\bintent\b|\btranscription (?:session|update|intent|mode)s?\b"
    r"|\b(?:not|no|only)\b[^.;]{0,60}(?<![._])\btranscriptions?\b(?![._])"
)
"""What endpoints say of the kind of a session, in lower case."""
_FIELDS = frozenset({"type", "model"})
"""Fields of the session that a refusal may name, as far as another session may do."""
_TYPE_CODE = "invalid_session_type"
_AMBIGUOUS = frozenset({"close_4000", "http_400", "missing_model", "invalid_model", "OpperationNotSupported"})
"""Refusals of a model in the URL, of a transcription, or of both."""
_FINAL = frozenset({"no_session", "session_changed"})
"""No other session does where there is no answer, or a wrong one."""
_BARRED = frozenset({RefusedError.default_code, "http_403"})
"""Refusals that may be about something else than the key or the quota."""


class OtherDialectError(EndpointError):
    """The endpoint greets like one that speaks another dialect."""

    default_code = "other_dialect"

    def __init__(self, name: str) -> None:
        super().__init__(f"the endpoint greets like {DIALECTS[name].title}", f"use --dialect {name}")
        self.dialect = name


class Variant(Struct, frozen=True):
    """What a session differs in from another one."""

    listens: bool = False
    """A conversation that is only listened to; else a transcription."""
    url_model: bool = True
    """The URL names the model."""
    own_turns: bool = False
    """``rt`` makes the turns, although nobody asked it to."""
    dialect: str | None = None
    """The dialect of the endpoint, if it was recognised."""


class Proposal(Struct, frozen=True):
    """The session that is asked for, and where."""

    endpoint: Endpoint
    request: SessionRequest


def refused_subject(failure: RtError, said: ErrorInfo | None) -> Subject | None:
    """Return what a refusal is about, as far as another session may do; None if it is about something else.

    Args:
        failure: What ended the connection.
        said: The last error of the endpoint on it.
    """
    barred = isinstance(failure, RefusedError) and failure.code in _BARRED
    if failure.code in _FINAL or not (barred or isinstance(failure, EndpointError)):
        return None
    names = (said.code, said.type, said.param or "", said.message) if said else ()
    text = " ".join((*names, failure.message)).lower()
    if failure.code == TURNS_OFF or _TURNS.search(text):
        return "turns"
    if said is not None and _TYPE_CODE in (said.code, said.type):
        return "kind"
    if said is not None and said.param and said.param.rpartition(".")[2] not in _FIELDS:
        return None
    ambiguous = failure.code in _AMBIGUOUS | MODEL_CODES or is_about_model(failure.message, said)
    return "any session" if ambiguous or _KIND.search(text) else None


def recognised(failure: RtError, said: ErrorInfo | None) -> str | None:
    """Return the dialect that an endpoint shows by how it ends a connection; None if it shows none.

    Args:
        failure: What ended the connection.
        said: The last error of the endpoint on it.
    """
    if isinstance(failure, OtherDialectError):
        return failure.dialect
    if said is not None and said.code == "not_supported" and (said.param or "").endswith("turn_detection"):
        return "sglang"
    return None


def next_variant(tried: list[Variant], subject: Subject, *, may_listen: bool, may_make_turns: bool) -> Variant | None:
    """Return what to ask for after a refusal; None if there is nothing else to try.

    Args:
        tried: What was asked for, the last one last; each only once.
        subject: What the last refusal is about.
        may_listen: The user leaves the kind of the session open.
        may_make_turns: The user leaves open who makes the turns.
    """
    last = tried[-1]
    listening = replace(last, listens=True, url_model=tried[0].url_model)
    candidates: list[Variant] = []
    if subject == "turns":
        candidates = [replace(last, own_turns=True)] if may_make_turns else []
    elif subject == "kind":
        candidates = [listening] if may_listen else []
    else:
        candidates = [replace(last, url_model=False), *([listening] if may_listen else [])]
    return next((each for each in candidates if each not in tried), None)


class Negotiation:
    """What is asked of one endpoint; shared by the runs of a command, so that each refusal is met once.

    Args:
        endpoint: With the URL of the request.
        request: What is asked for first.
        settings: Settings of the user.
    """

    def __init__(self, endpoint: Endpoint, request: SessionRequest, settings: SessionSettings) -> None:
        self.proposal = Proposal(endpoint, request)
        """What to ask for now."""
        self._first = self.proposal
        self._settings = settings
        chosen = settings.turn_detection is not None or request.turns not in {"server_vad", "semantic_vad"}
        self._may_make_turns = not chosen
        self._may_listen = settings.session_type is None and not endpoint.dialect.listens
        self._open = endpoint.dialect.negotiates and not endpoint.known and not request.conversation
        names_model = any(name == "model" for name, _ in request.query)
        self._tried = [Variant(listens=endpoint.dialect.listens, url_model=names_model)]
        self._failure: RtError | None = None
        self._said = False

    def after(self, proposal: Proposal, failure: RtError, said: ErrorInfo | None) -> Proposal | None:
        """Return what to ask for next; None if the failure stands.

        Args:
            proposal: What was refused.
            failure: What ended the connection.
            said: The last error of the endpoint on it.
        """
        if not self._open:
            return None
        if proposal != self.proposal:
            return self.proposal  # another run of the command has met the refusal
        if self._tried[-1].dialect is not None:
            return None  # its protocol is known
        if (name := recognised(failure, said)) is not None and (found := self._ask_in(name)) is not None:
            return found
        subject = refused_subject(failure, said)
        if subject is None:
            return None
        variant = next_variant(self._tried, subject, may_listen=self._may_listen, may_make_turns=self._may_make_turns)
        self._failure = self._failure or failure
        found = None if variant is None else self._ask_for(variant)
        if variant is not None and found is not None:
            self._tried.append(variant)
            self.proposal = found
        return found

    def cause(self, failure: RtError) -> RtError:
        """Return the failure to report: that of the first session, if one after the other was refused."""
        return self._failure or failure

    def accepted(self, proposal: Proposal) -> list[tuple[str, str]]:
        """Note that the endpoint takes a session. Return what to say of it, once: codes and messages."""
        if proposal != self.proposal:
            return []
        self._failure = None
        if self._said:
            return []
        self._said = True
        first, now = self._tried[0], self._tried[-1]
        said: list[tuple[str, str]] = []
        if now.dialect is not None:
            dialect = DIALECTS[now.dialect]
            rate = f" at {dialect.rate_hz / 1000:g} kHz" if dialect.rate_hz != self._first.request.rate_hz else ""
            message = f"the endpoint is {dialect.title}: going on in its dialect{rate} (--dialect {dialect.name})"
            said.append(("dialect", message))
        elif now.listens and not first.listens:
            message = "the endpoint takes no transcription session: listening to a conversation (--session realtime)"
            said.append(("session_type", message))
        elif first.url_model and not now.url_model:
            said.append(("url_model", "the endpoint takes no model in the URL: asked without"))
        if now.own_turns:
            message = "the endpoint has no turn detection for this model: rt makes the turns (--turn-detection client)"
            said.append(("own_turns", message))
        return said

    def _ask_in(self, name: str) -> Proposal | None:
        """Ask in another dialect, or note the setting that it does not take."""
        settings = self._settings
        if not self._first.endpoint.dialect.transcribes:
            return None
        try:
            endpoint = self._first.endpoint.speaking(DIALECTS[name])
            request = endpoint.request(settings, settings.turn_detection)
        except UsageError as exc:
            message = f"the endpoint is {DIALECTS[name].title}: {exc.message}"
            self._failure = EndpointError(message, exc.hint, code=OtherDialectError.default_code)
            return None
        self._failure = None
        self._tried.append(replace(self._tried[-1], dialect=name))
        self.proposal = Proposal(endpoint.with_query(request.query), request)
        return self.proposal

    def _ask_for(self, variant: Variant) -> Proposal | None:
        endpoint = self._first.endpoint
        turns = "client" if variant.own_turns else self._settings.turn_detection
        try:
            if variant.listens and not endpoint.dialect.listens:
                endpoint = endpoint.listening()
            request = endpoint.request(self._settings, turns, url_model=variant.url_model)
        except UsageError:
            return None
        return Proposal(endpoint.with_query(request.query), request)
