"""The vendors' own packages, unmodified and pinned, against our stand-ins: what they accept is faithful enough.

xAI has none for its speech to text; LiveKit's is the client of it that is used most.
Each in an environment of its own, which ``-m long`` makes once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rt_cli.protocol.dialects import DIALECTS
from rt_cli.settings import SessionSettings
from tests.clients.programs import interpreter, output_of
from tests.exact import judge, turns
from tests.fakes import run
from tests.standins.qwen import MODEL, OMNI, OmniScript, QwenScript
from tests.standins.standin import StandIn
from tests.standins.voicelive import VoiceLiveScript
from tests.standins.xai import XaiScript

if TYPE_CHECKING:
    from tests.standins.standin import Script


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """A package, the program that uses it, and the stand-in that it talks to."""

    packages: str
    program: str
    script: type[Script]
    argument: str
    kinds: frozenset[str]
    """Types of events that have to come."""


def session_of_ours() -> str:
    """The session that ``rt`` asks Voice Live for, with all that it can ask for."""
    settings = SessionSettings(silence_ms=200, prefix_ms=0, language="en,de", keyterm=("rt",), confidence=True)
    request = DIALECTS["azure-voicelive"].request(settings, "azure-speech", None, embedded=False)
    return json.dumps(request.body)


class LongChunksScript(XaiScript):
    """Chunks as long as the provider's: LiveKit takes no word of an utterance that is in none of its chunks."""

    chunk_ms = 3_000


TRANSCRIBED = "conversation.item.input_audio_transcription.completed"
VENDORS = [
    Vendor(
        packages="azure-ai-voicelive==1.3.1 aiohttp",
        program="azure_voicelive.py",
        script=VoiceLiveScript,
        argument=session_of_ours(),
        kinds=frozenset({"session.created", "session.updated", "conversation.item.created", TRANSCRIBED}),
    ),
    Vendor(
        packages="dashscope==2.0.2",
        program="dashscope_realtime.py",
        script=QwenScript,
        argument=MODEL,
        kinds=frozenset({"session.updated", f"{TRANSCRIBED.removesuffix('completed')}text", "session.finished"}),
    ),
    Vendor(
        packages="dashscope==2.0.2",
        program="dashscope_realtime.py",
        script=OmniScript,
        argument=OMNI,
        kinds=frozenset({"session.updated", "response.created", TRANSCRIBED}),
    ),
    Vendor(
        packages="livekit-plugins-xai==1.8.9",
        program="livekit_xai.py",
        script=LongChunksScript,
        argument="200",
        kinds=frozenset({"start_of_speech", "interim_transcript", "final_transcript", "end_of_speech"}),
    ),
]


async def heard(python: Path, vendor: Vendor, sound: Path) -> dict[str, Any]:
    """What a program has heard."""
    async with StandIn(vendor.script).serving() as server:
        return await output_of(python, vendor.program, server.url, str(sound), vendor.argument)


@pytest.mark.long
@pytest.mark.parametrize("vendor", VENDORS, ids=[f"{each.program} {each.script.__name__}" for each in VENDORS])
def test_the_vendors_package(
    vendor: Vendor, pytestconfig: pytest.Config, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It gets the words of two turns, understands every event, and refuses no field of ours."""
    cache = pytestconfig.cache
    python = interpreter(Path(cache.mkdir("clients")) if cache else tmp_path_factory.mktemp("clients"), vendor.packages)
    pcm, spans = turns(2)
    sound = tmp_path / "speech.pcm"
    sound.write_bytes(pcm)
    found = run(heard(python, vendor, sound), 60)
    assert found["errors"] == []
    assert judge(found["words"], spans).perfect
    assert vendor.kinds <= set(found["kinds"])
