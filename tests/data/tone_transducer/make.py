"""Make the files beside this one: a streaming transducer that says a word for each third of a second of loud sound.

It has no weights worth the name: it stands for the real models that need a download, so that all the code around them
is run. Needs ``onnx``, which nothing else here does; the files it makes are kept.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
FRAMES, SHIFT, OUT, WIDTH = 39, 32, 8, 2
TOKENS = ("<blk>", "▁to", "ne", "▁on")


def constant(name: str, values: object, kind: type = np.float32) -> onnx.TensorProto:
    """A named tensor."""
    return numpy_helper.from_array(np.array(values, dtype=kind), name)


def save(name: str, nodes: list, ins: list, outs: list, constants: list, meta: dict[str, object]) -> None:
    """Write a model with the metadata that sherpa-onnx looks for."""
    model = helper.make_model(
        helper.make_graph(nodes, name, ins, outs, constants), opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    )
    helper.set_model_props(model, {key: str(value) for key, value in meta.items()})
    onnx.checker.check_model(model)
    onnx.save(model, str(HERE / f"{name}.onnx"))


def floats(name: str, *shape: object) -> onnx.ValueInfoProto:
    """An input or output."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def encoder() -> None:
    """The first frame of a chunk tells whether it is loud: 1 or 0, and nothing else."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[2], keepdims=1),
        helper.make_node("Slice", ["mean", "from", "to", "axis", "step"], ["some"]),
        helper.make_node("Add", ["some", "threshold"], ["above"]),
        helper.make_node("Clip", ["above", "zero", "one"], ["loud"]),
        helper.make_node("Mul", ["loud", "mask"], ["encoder_out"]),
        helper.make_node("Identity", ["h"], ["next_h"]),
        helper.make_node("Identity", ["c"], ["next_c"]),
    ]
    mask = np.zeros((1, OUT, WIDTH))
    mask[0, 0, 0] = 1
    constants = [
        *(constant("from", [0], np.int64), constant("to", [SHIFT], np.int64), constant("axis", [1], np.int64)),
        *(constant("step", [SHIFT // OUT], np.int64), constant("threshold", [6.0]), constant("mask", mask)),
        *(constant("zero", 0.0), constant("one", 1.0)),
    ]
    states = [(f"{prefix}{name}", 1, "N", WIDTH) for prefix in ("", "next_") for name in "hc"]
    ins = [floats("x", "N", FRAMES, 80), *(floats(*state) for state in states[:2])]
    outs = [floats("encoder_out", "N", OUT, WIDTH), *(floats(*state) for state in states[2:])]
    meta = {"model_type": "lstm", "num_encoder_layers": 1, "T": FRAMES, "decode_chunk_len": SHIFT}
    save("encoder.int8", nodes, ins, outs, constants, {**meta, "rnn_hidden_size": WIDTH, "d_model": WIDTH})


def decoder() -> None:
    """Which token was last."""
    nodes = [
        helper.make_node("Slice", ["y", "from", "to", "axis"], ["last"]),
        helper.make_node("Gather", ["table", "last"], ["found"], axis=0),
        helper.make_node("Squeeze", ["found", "axis"], ["decoder_out"]),
    ]
    constants = [
        *(constant("from", [1], np.int64), constant("to", [2], np.int64), constant("axis", [1], np.int64)),
        constant("table", [[0, 0], [1, 0], [0, 1], [0, 0]]),
    ]
    y = helper.make_tensor_value_info("y", TensorProto.INT64, ("N", 2))
    meta = {"vocab_size": len(TOKENS), "context_size": 2}
    save("decoder", nodes, [y], [floats("decoder_out", "N", WIDTH)], constants, meta)


def joiner() -> None:
    """After ``▁to`` comes ``ne``, after ``ne`` ``▁on``, otherwise ``▁to``; in silence nothing."""
    nodes = [
        helper.make_node("MatMul", ["encoder_out", "by_sound"], ["sound"]),
        helper.make_node("MatMul", ["decoder_out", "by_token"], ["token"]),
        helper.make_node("Add", ["sound", "token"], ["both"]),
        helper.make_node("Add", ["both", "bias"], ["logit"]),
    ]
    constants = [
        constant("by_sound", [[0, 10, 10, 10], [0, 0, 0, 0]]),
        constant("by_token", [[0, -1, 1, 0], [0, -1, 0, 1]]),
        constant("bias", [0, -5, -5.5, -5.5]),
    ]
    ins = [floats("encoder_out", "N", WIDTH), floats("decoder_out", "N", WIDTH)]
    save("joiner", nodes, ins, [floats("logit", "N", len(TOKENS))], constants, {"joiner_dim": WIDTH})


if __name__ == "__main__":
    encoder()
    decoder()
    joiner()
    (HERE / "tokens.txt").write_text("".join(f"{name} {i}\n" for i, name in enumerate(TOKENS)), encoding="utf-8")
