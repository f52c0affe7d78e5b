"""faster-whisper with a small model that returns two words for any audio, in place of models that need a download."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from rt_cli.errors import UsageError
from rt_cli.server.recognition.interface import Hints, Hypothesis, RecognizerFailed
from rt_cli.server.recognition.registry import open_recognizer
from tests.fakes import run

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("faster_whisper", reason="the extra whisper is not installed, it takes 360 MB")

WIDTH = 8
WORDS = ["[UNK]", "hello", "world"]
SPECIAL = [
    *("<|endoftext|>", "<|startoftranscript|>", "<|translate|>", "<|transcribe|>", "<|startoflm|>"),
    *("<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"),
]
TIMES = [f"<|{i * 0.02:.2f}|>" for i in range(1501)]
VOCABULARY = [*WORDS, *SPECIAL, *TIMES]
SAID = ["<|0.00|>", "hello", "world", "<|1.00|>", "<|endoftext|>"]


def write_model(directory: Path) -> None:
    """A Whisper model with one layer without weights: the position alone decides the next token."""
    from ctranslate2.specs import whisper_spec
    from tokenizers import Tokenizer, models, pre_tokenizers

    spec = whisper_spec.WhisperSpec(1, 1, 1, 1)
    encoder, decoder = spec.encoder, spec.decoder
    encoder.conv1.weight, encoder.conv2.weight = zeros(WIDTH, 80, 3), zeros(WIDTH, WIDTH, 3)
    encoder.conv1.bias = encoder.conv2.bias = zeros(WIDTH)
    encoder.position_encodings.encodings = zeros(1500, WIDTH)
    decoder.embeddings.weight = zeros(len(VOCABULARY), WIDTH)
    decoder.position_encodings.encodings = np.eye(448, WIDTH, dtype=np.float32)
    decoder.projection.weight = zeros(len(VOCABULARY), WIDTH)
    for position, token in enumerate(SAID):
        decoder.projection.weight[VOCABULARY.index(token), position] = 20
    for layer in (*encoder.layer, *decoder.layer):
        parts = [layer.self_attention, layer.ffn, *([layer.attention] if hasattr(layer, "attention") else [])]
        plain(*(part.layer_norm for part in parts))
        silent(layer.self_attention.linear, [3 * WIDTH, WIDTH])
        if hasattr(layer, "attention"):
            silent(layer.attention.linear, [WIDTH, 2 * WIDTH, WIDTH])
        silent([layer.ffn.linear_0, layer.ffn.linear_1], [WIDTH, WIDTH])
    plain(encoder.layer_norm, decoder.layer_norm)
    spec.register_vocabulary(VOCABULARY)
    spec.config.alignment_heads, spec.config.lang_ids = [(0, 0)], []
    spec.config.suppress_ids, spec.config.suppress_ids_begin = [], []
    spec.validate()
    spec.save(str(directory))
    tokenizer = Tokenizer(models.WordLevel({token: i for i, token in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(directory / "tokenizer.json"))


def zeros(*shape: int) -> np.ndarray:
    """Zero weights."""
    return np.zeros(shape, np.float32)


def plain(*norms: object) -> None:
    """Layer norms without effect."""
    for norm in norms:
        norm.gamma, norm.beta = np.ones(WIDTH, np.float32), zeros(WIDTH)


def silent(linears: list, sizes: list[int]) -> None:
    """Layers with zero output."""
    for linear, size in zip(linears, sizes, strict=True):
        linear.weight, linear.bias = zeros(size, WIDTH), zeros(size)


async def all_hypotheses(spec: str, seconds: float, hints: Hints) -> list[Hypothesis]:
    """All hypotheses of an item of silence."""
    async with open_recognizer(spec) as recognizer, recognizer.session() as session:
        item = await session.open(24_000, hints)
        await item.feed(bytes(int(seconds * 24_000) * 2))
        item.finish()
        return [hypothesis async for hypothesis in item.hypotheses()]


def test_words_at_the_end(tmp_path: Path) -> None:
    """A model of a directory transcribes an item."""
    write_model(tmp_path)
    told = run(all_hypotheses(f"whisper:{tmp_path}", 1, Hints("en-GB")), 60)
    assert told == [Hypothesis("hello world"), Hypothesis("hello world", final=True)]


def test_partial_text_per_window(tmp_path: Path) -> None:
    """The text of a long item grows with every 30 s window."""
    write_model(tmp_path)
    told = run(all_hypotheses(f"whisper:{tmp_path}", 65, Hints()), 60)
    assert [each.text.count("hello") for each in told] == [1, 2, 3, 3]


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("no-such-size", "there is no Whisper model 'no-such-size'.*tiny"),
        ("./not/there", "there is no Whisper model"),
        ("/not", "there is no Whisper model"),
    ],
)
def test_unknown_model(model: str, reason: str) -> None:
    """An unknown name is rejected before any download."""
    with pytest.raises(UsageError, match=reason):
        run(all_hypotheses(f"whisper:{model}", 1, Hints()))


def test_directory_without_a_model(tmp_path: Path) -> None:
    """The message names the missing file."""
    with pytest.raises(UsageError, match=r"has no model\.bin"):
        run(all_hypotheses(f"whisper:{tmp_path}", 1, Hints()))


def test_corrupt_model_fails_items(tmp_path: Path) -> None:
    """A load error fails each item, with the reason."""
    (tmp_path / "model.bin").write_bytes(b"garbage" * 100)
    with pytest.raises(BaseExceptionGroup) as caught:
        run(all_hypotheses(f"whisper:{tmp_path}", 1, Hints()))
    (failure,) = caught.value.exceptions
    assert isinstance(failure, RecognizerFailed)
    assert "binary version" in str(failure)
    assert str(failure).isprintable()
