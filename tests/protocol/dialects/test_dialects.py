"""Session objects by model, checked against the official package."""

from __future__ import annotations

import json
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.realtime import RealtimeSessionCreateRequest

from rt_cli.errors import UsageError
from rt_cli.protocol.dialects import AZURE, DIALECTS, OPENAI, Dialect, owner_of
from rt_cli.protocol.dialects.dialect import ConversationWish
from rt_cli.protocol.dialects.reference import dialect_reference
from rt_cli.protocol.endpoint.endpoint import resolve
from rt_cli.protocol.openai.encode import session_update_event
from rt_cli.protocol.openai.overrides import with_overrides
from rt_cli.protocol.openai.session import choose_turn_detection, conversation_session, transcription_session
from rt_cli.settings import EndpointSettings, SessionSettings, TurnDetection

if TYPE_CHECKING:
    from collections.abc import Iterator

LIVE, WHISPER = "gpt-live-transcribe", "gpt-realtime-whisper"
SERVER_TURNS = ["gpt-transcribe", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "whisper-1", "somebody-elses"]
dialects = pytest.mark.parametrize("dialect", [OPENAI, AZURE], ids=["openai", "azure"])


def audio_input(settings: SessionSettings, model: str, turns: TurnDetection = "server_vad") -> dict[str, Any]:
    """``session.audio.input`` of OpenAI's dialect."""
    session: Any = transcription_session(settings, model, turns, 24_000)
    audio: dict[str, Any] = session["audio"]["input"]
    return audio


@pytest.mark.parametrize("model", [LIVE, WHISPER, f"{LIVE}-2026-10-01", f"{WHISPER}-latest"])
def test_a_model_without_turn_detection_selects_client_turns(model: str) -> None:
    """The endpoint refuses turn detection for the two streaming models and their dated variants."""
    assert choose_turn_detection(model, None, embedded=False) == "client"


@pytest.mark.parametrize("model", [*SERVER_TURNS, "gpt-transcribe-2026-10-01", "gpt-4o-mini-transcribe-2025-12-15"])
def test_any_other_model_selects_server_vad(model: str) -> None:
    """Unknown models count as ordinary ones."""
    assert choose_turn_detection(model, None, embedded=False) == "server_vad"


@pytest.mark.parametrize("asked", ["server_vad", "semantic_vad"])
@pytest.mark.parametrize("model", [LIVE, WHISPER])
def test_turn_detection_that_the_model_refuses_is_a_usage_error(model: str, asked: TurnDetection) -> None:
    """The error is raised before connecting, with a hint."""
    with pytest.raises(UsageError, match="--turn-detection client") as caught:
        choose_turn_detection(model, asked, embedded=False)

    assert caught.value.exit_code == 2


@pytest.mark.parametrize("asked", ["client", "none"])
@pytest.mark.parametrize("model", [LIVE, *SERVER_TURNS])
def test_no_turn_detection_is_always_possible(model: str, asked: TurnDetection) -> None:
    """Every model supports ``client`` and ``none``."""
    assert choose_turn_detection(model, asked, embedded=False) == asked


@pytest.mark.parametrize("asked", [None, "server_vad"])
def test_the_embedded_endpoint_makes_turns_for_any_model(asked: TurnDetection | None) -> None:
    """The embedded endpoint has its own detector for every model name."""
    assert choose_turn_detection(LIVE, asked, embedded=True) == "server_vad"


def test_the_embedded_endpoint_has_no_semantic_vad() -> None:
    """The error is raised before connecting."""
    with pytest.raises(UsageError):
        choose_turn_detection("any", "semantic_vad", embedded=True)


def test_server_vad_sends_every_number() -> None:
    """The session does not rely on defaults of the endpoint."""
    settings = SessionSettings(vad_threshold=0.7, prefix_ms=250, silence_ms=640)

    assert audio_input(settings, "whisper-1")["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.7,
        "prefix_padding_ms": 250,
        "silence_duration_ms": 640,
    }


@pytest.mark.parametrize("turns", ["client", "none"])
def test_no_turn_detection_is_an_explicit_null(turns: TurnDetection) -> None:
    """Without the field, the endpoint's default is on."""
    turn_detection = audio_input(SessionSettings(), LIVE, turns)

    assert turn_detection["turn_detection"] is None


def test_the_session_has_only_required_and_chosen_fields() -> None:
    """Type, format, model and turn detection; an endpoint may not know more fields."""
    assert transcription_session(SessionSettings(), LIVE, "client", 24_000) == {
        "type": "transcription",
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24_000},
                "transcription": {"model": LIVE},
                "turn_detection": None,
            }
        },
    }


@pytest.mark.parametrize(
    ("model", "language", "expected"),
    [
        (LIVE, "de", {"languages": ["de"]}),
        ("gpt-transcribe-2026-10-01", "de, en", {"languages": ["de", "en"]}),
        ("gpt-4o-transcribe", "de", {"language": "de"}),
        ("somebody-elses", "de", {"language": "de"}),
        (WHISPER, "de", {"language": "de"}),
    ],
)
def test_the_language_field_depends_on_the_model(model: str, language: str, expected: dict[str, Any]) -> None:
    """One option for the user, two field names on the wire."""
    assert audio_input(SessionSettings(language=language), model)["transcription"] == {"model": model} | expected


def test_several_languages_need_a_model_that_takes_them() -> None:
    """Otherwise UsageError: choosing one of them silently would hide the problem."""
    with pytest.raises(UsageError, match="one language"):
        audio_input(SessionSettings(language="de,en"), "whisper-1")


@pytest.mark.parametrize("model", [WHISPER, "gpt-4o-transcribe-diarize"])
def test_a_prompt_that_the_model_refuses_is_a_usage_error(model: str) -> None:
    """The endpoint would refuse the whole configuration."""
    with pytest.raises(UsageError, match="--prompt"):
        audio_input(SessionSettings(prompt="names: Dashwood"), model, "client")


def test_the_prompt_is_sent_unchanged() -> None:
    """The field is ``transcription.prompt``."""
    assert audio_input(SessionSettings(prompt="p"), LIVE)["transcription"]["prompt"] == "p"


def test_noise_reduction_is_sent_only_with_the_option() -> None:
    """Only then."""
    assert audio_input(SessionSettings(noise_reduction="far_field"), LIVE)["noise_reduction"] == {"type": "far_field"}


def test_overrides_come_last_and_in_order() -> None:
    """``--set`` can set any field, and the last value of a path wins."""
    settings = SessionSettings(
        extra=(
            ("audio.input.turn_detection.threshold", 0.1),
            ("audio.input.transcription.delay", "high"),
            ("audio.input.transcription.delay", "low"),
            ("include", ["item.input_audio_transcription.logprobs"]),
        )
    )
    session: Any = transcription_session(settings, "gpt-transcribe", "server_vad", 24_000)

    assert session["audio"]["input"]["turn_detection"]["threshold"] == 0.1
    assert session["audio"]["input"]["transcription"]["delay"] == "low"
    assert session["include"] == ["item.input_audio_transcription.logprobs"]


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "a..b",
        "audio.",
        "type",
        "type.deeper",
        "audio",
        "audio.input",
        "audio.input.format",
        "audio.input.format.rate",
        "audio.input.turn_detection",
        "audio.input.turn_detection.type",
        "audio.input.transcription.model",
        "audio.input.turn_detection.threshold",
        "audio.input.transcription.prompt.x",
    ],
)
def test_an_override_that_does_not_fit_is_a_usage_error(path: str) -> None:
    """An empty path, a path through a value, or a path that ``rt`` sets itself."""
    settings = SessionSettings(prompt="p", extra=((path, 1),))

    with pytest.raises(UsageError, match="--set"):
        transcription_session(settings, LIVE, "client", 24_000)


@given(
    st.lists(st.tuples(st.text("ab.", max_size=5), st.integers() | st.just({"a": {}}))),
)
def test_overrides_do_not_modify_their_arguments(overrides: list[tuple[str, object]]) -> None:
    """Session and settings stay unchanged for any overrides; only UsageError is raised."""
    session: dict[str, Any] = {"a": {"b": 1}}
    before = json.dumps([session, overrides])
    try:
        with_overrides(session, overrides)
    except UsageError:
        pass
    assert before == json.dumps([session, overrides])


SESSIONS = [
    (SessionSettings(), LIVE, "client"),
    (SessionSettings(language="de,en", prompt="p"), LIVE, "none"),
    (SessionSettings(language="de", prompt="p", noise_reduction="near_field"), "gpt-4o-transcribe", "server_vad"),
    (SessionSettings(vad_threshold=1.0, silence_ms=200, prefix_ms=0), "whisper-1", "server_vad"),
    (SessionSettings(noise_reduction="far_field"), "gpt-transcribe", "semantic_vad"),
]


@dialects
@pytest.mark.parametrize(("settings", "model", "turns"), SESSIONS)
def test_every_session_is_valid_for_the_official_package(
    dialect: Dialect, settings: SessionSettings, model: str, turns: TurnDetection
) -> None:
    """The session validates, and all its keys are in the types of the package."""
    from openai.types.realtime import SessionUpdateEvent
    from openai.types.realtime.session_update_event_param import SessionUpdateEventParam
    from pydantic import TypeAdapter

    event = json.loads(session_update_event(dialect.request(settings, model, turns, embedded=False).body, "event_1"))

    TypeAdapter(SessionUpdateEvent).validate_python(event, strict=True)
    assert list(unknown_keys(event, SessionUpdateEventParam)) == []


def test_the_check_for_unknown_keys_finds_one() -> None:
    """A check that accepts everything would prove nothing."""
    from openai.types.realtime.session_update_event_param import SessionUpdateEventParam

    event: Any = {
        "type": "session.update",
        "session": dict(transcription_session(SessionSettings(), LIVE, "client", 24_000)),
    }
    event["session"]["audio"]["input"]["turn_detecting"] = 1

    assert list(unknown_keys(event, SessionUpdateEventParam)) == ["session.audio.input.turn_detecting"]


def unknown_keys(value: object, hint: object, path: str = "") -> Iterator[str]:
    """Return the dotted paths in ``value`` that no TypedDict in ``hint`` has; for a union, those of the best member."""
    if get_origin(hint) in {Union, UnionType}:
        members = [member for member in get_args(hint) if accepts(value, member)]
        yield from min((list(unknown_keys(value, member, path)) for member in members), key=len, default=[path])
    elif isinstance(value, dict) and hasattr(hint, "__required_keys__"):
        fields = get_type_hints(hint)
        for key, inner in value.items():
            where = f"{path}.{key}".lstrip(".")
            if key in fields:
                yield from unknown_keys(inner, fields[key], where)
            else:
                yield where


def accepts(value: object, hint: object) -> bool:
    """Return whether a value is of this member of a union, by its literal ``type`` if it has one."""
    if not hasattr(hint, "__required_keys__"):
        return hint is type(None) if value is None else not isinstance(value, dict)
    if not isinstance(value, dict):
        return False
    kind = get_type_hints(hint).get("type")
    return get_origin(kind) is not Literal or value.get("type") in get_args(kind)


@pytest.mark.parametrize(
    ("settings", "model", "field"),
    [
        (SessionSettings(keyterm=("Kubernetes", "Zoë")), "gpt-transcribe", {"keywords": ["Kubernetes", "Zoë"]}),
        (SessionSettings(keyterm=("x",)), LIVE, {"keywords": ["x"]}),
        (SessionSettings(keyterm=("x",)), "somebody-elses", {"keywords": ["x"]}),
        (SessionSettings(delay="low"), WHISPER, {"delay": "low"}),
        (SessionSettings(delay="xhigh"), f"{LIVE}-2026-10-01", {"delay": "xhigh"}),
        (SessionSettings(), "somebody-elses", {}),
    ],
)
def test_what_a_model_is_to_expect(settings: SessionSettings, model: str, field: dict[str, object]) -> None:
    """Key terms and delay, where the model or nobody says that it has none."""
    transcription = audio_input(settings, model)["transcription"]

    assert {name: value for name, value in transcription.items() if name != "model"} == field


@pytest.mark.parametrize("model", ["gpt-4o-transcribe", "gpt-4o-transcribe-diarize", "whisper-1"])
@pytest.mark.parametrize(
    ("settings", "option"), [(SessionSettings(keyterm=("x",)), "--keyterm"), (SessionSettings(delay="low"), "--delay")]
)
def test_older_models_have_neither(model: str, settings: SessionSettings, option: str) -> None:
    """Known before connecting, with what to leave out."""
    with pytest.raises(UsageError, match=f"leave out {option}, or use another --model"):
        audio_input(settings, model)


def test_confidence_is_asked_for() -> None:
    """By the probabilities of the tokens."""
    asked = transcription_session(SessionSettings(confidence=True), "gpt-4o-transcribe", "server_vad", 24_000)
    assert asked["include"] == ["item.input_audio_transcription.logprobs"]
    assert "include" not in transcription_session(SessionSettings(), "gpt-4o-transcribe", "server_vad", 24_000)


def conversation(wish: ConversationWish, turns: TurnDetection = "server_vad", **settings: Any) -> dict[str, Any]:
    """The session object of a conversation."""
    return conversation_session(SessionSettings(**settings), wish, turns, 24_000)


TOOL = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}


@pytest.mark.parametrize(
    "session",
    [
        conversation(ConversationWish("whisper-1")),
        conversation(ConversationWish("whisper-1", "marin", "be short", tools=(TOOL,)), language="en"),
        conversation(ConversationWish("whisper-1", spoken=False), "client", noise_reduction="near_field"),
        conversation(ConversationWish("whisper-1"), "semantic_vad"),
    ],
    ids=["plain", "all", "text, own turns", "meaning"],
)
def test_a_conversation_by_the_official_types(session: dict[str, Any]) -> None:
    """Valid, and without a field that they do not know."""
    checked = RealtimeSessionCreateRequest.model_validate(session)

    assert not checked.model_extra
    assert checked.model_dump(exclude_unset=True, by_alias=True) == session


def test_the_endpoint_replies_and_does_not_interrupt() -> None:
    """Only rt knows what was heard."""
    detection = conversation(ConversationWish("whisper-1"))["audio"]["input"]["turn_detection"]

    assert (detection["create_response"], detection["interrupt_response"]) == (True, False)
    assert conversation(ConversationWish("whisper-1"), "client")["audio"]["input"]["turn_detection"] is None


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://api.openai.com", "wss://api.openai.com/v1/realtime?model=m"),
        ("https://r.openai.azure.com", "wss://r.openai.azure.com/openai/v1/realtime?model=m"),
        ("http://localhost:1/v1", "ws://localhost:1/v1/realtime?model=m"),
    ],
    ids=["OpenAI", "Azure", "a gateway"],
)
def test_the_url_of_a_conversation_names_the_model_alone(url: str, path: str) -> None:
    """An intent would make it a transcription."""
    endpoint = resolve(EndpointSettings(url=url, model="m"), url, None, conversation=True)

    request = endpoint.dialect.conversation(SessionSettings(), ConversationWish("whisper-1"), endpoint.model, None)

    assert endpoint.with_query(request.query).url == path


def test_a_conversation_is_asked_for_in_the_url() -> None:
    """A model there is what the provider wants; a transcription is refused."""
    endpoint = resolve(EndpointSettings(), "https://api.openai.com/v1/realtime?model=m", None, conversation=True)
    assert endpoint.url == "wss://api.openai.com/v1/realtime?model=m"
    with pytest.raises(UsageError, match="is no conversation"):
        resolve(EndpointSettings(), "https://api.openai.com/v1/realtime?intent=transcription", None, conversation=True)


@pytest.mark.parametrize("name", ["vllm", "sglang", "localai", "speaches", "huggingface", "nvidia"])
def test_a_server_of_the_user_has_no_host_and_no_key_of_a_vendor(name: str) -> None:
    """Only ``RT_API_KEY`` goes there."""
    dialect = DIALECTS[name]
    assert (dialect.name, dialect.hosts, dialect.key_variable) == (name, (), "")
    assert dialect.title
    assert owner_of("localhost") is None
    with pytest.raises(UsageError, match="leave out --session"):
        dialect.for_transcriptions() if dialect.listens else dialect.for_listening()


@pytest.mark.parametrize("name", ["vllm", "sglang", "localai", "speaches"])
def test_a_server_without_a_model_of_its_own_wants_one(name: str) -> None:
    """Said at once."""
    dialect = DIALECTS[name]
    with pytest.raises(UsageError, match="--model"):
        dialect.request(SessionSettings(), dialect.default_model, None, embedded=False)


@pytest.mark.parametrize(
    ("name", "settings", "option"),
    [
        ("vllm", SessionSettings(language="en"), "--language"),
        ("vllm", SessionSettings(extra=(("x", 1),)), "--set"),
        ("sglang", SessionSettings(noise_reduction="near_field"), "--noise-reduction"),
        ("speaches", SessionSettings(keyterm=("x",)), "--keyterm"),
        ("huggingface", SessionSettings(prompt="x"), "--prompt"),
        ("nvidia", SessionSettings(delay="low"), "--delay"),
        ("inworld", SessionSettings(keyterm=("x",)), "--keyterm"),
    ],
)
def test_what_a_server_does_not_take_is_refused_at_once(name: str, settings: SessionSettings, option: str) -> None:
    """Rather than left unread there."""
    with pytest.raises(UsageError, match=f"leave out {option}"):
        DIALECTS[name].request(settings, "m", None, embedded=False)


@pytest.mark.parametrize(
    ("name", "turns"),
    [
        ("vllm", "server_vad"),
        ("sglang", "semantic_vad"),
        *((name, "client") for name in ("speaches", "huggingface", "nvidia", "inworld")),
    ],
)
def test_who_makes_the_turns_is_not_always_a_choice(name: str, turns: TurnDetection) -> None:
    """Said before anything is opened."""
    with pytest.raises(UsageError, match="turn-detection"):
        DIALECTS[name].request(SessionSettings(), "m", turns, embedded=False)


def test_the_table_of_dialects_has_them_all() -> None:
    """A row each, with its key and its host."""
    rows = dialect_reference().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == list(DIALECTS)
    assert "`api.openai.com`" in rows[0]
    (vllm,) = (row for row in rows if row.startswith("| `vllm`"))
    assert "`RT_API_KEY`" in vllm
