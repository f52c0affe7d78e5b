"""DashScope's package for realtime sessions. Arguments: URL of the endpoint, a file of PCM at 16 kHz, the model."""

import base64
import json
import sys
import threading
from pathlib import Path

from dashscope.audio.qwen_omni import MultiModality, OmniRealtimeCallback, OmniRealtimeConversation
from dashscope.audio.qwen_omni.omni_realtime import TranscriptionParams

FRAME_BYTES = 3_200
TURNS = 2
WAIT_S = 20


class Callback(OmniRealtimeCallback):
    """Collects the words of two turns."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.kinds: list[str] = []
        self.errors: list[str] = []
        self.configured, self.heard = threading.Event(), threading.Event()

    def on_event(self, message: dict) -> None:
        """Note an event."""
        self.kinds.append(message["type"])
        if message["type"] == "error":
            self.errors.append(str(message))
            self.configured.set()
        if message["type"] == "session.updated":
            self.configured.set()
        if message["type"] == "conversation.item.input_audio_transcription.completed":
            self.words.append(message["transcript"])
            if len(self.words) == TURNS:
                self.heard.set()


def main(url: str, pcm: bytes, model: str) -> None:
    """Ask for the session, speak, and end it as the package does; a conversation's turns are waited for."""
    callback = Callback()
    client = OmniRealtimeConversation(model, callback, url=f"{url}/api-ws/v1/realtime", api_key="any")
    client.connect()
    transcribes = "asr" in model
    client.update_session(
        output_modalities=[MultiModality.TEXT],
        turn_detection_silence_duration_ms=200,
        transcription_params=TranscriptionParams(language="en") if transcribes else None,
    )
    callback.configured.wait(WAIT_S)
    for start in range(0, len(pcm), FRAME_BYTES):
        client.append_audio(base64.b64encode(pcm[start : start + FRAME_BYTES]).decode())
    if not transcribes:
        callback.heard.wait(WAIT_S)
    client.end_session(WAIT_S)
    client.close()
    print(json.dumps({"words": callback.words, "kinds": callback.kinds, "errors": callback.errors}))


main(sys.argv[1], Path(sys.argv[2]).read_bytes(), sys.argv[3])
