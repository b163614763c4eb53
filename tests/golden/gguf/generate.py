"""Writes the golden files of models/tests/gguf.rs beside this file, with gguf-py's own writer.

    python -m venv .venv && .venv/bin/pip install -r requirements.txt && .venv/bin/python generate.py

`values.gguf` has a key of every type, arrays and arrays in arrays; `tensors.gguf` has tensors of several
types whose bytes need padding, and an alignment of 64 bytes.
"""

from pathlib import Path

import gguf
import numpy as np
from gguf.quants import quantize

HERE = Path(__file__).parent
VALUE = gguf.GGUFValueType


def values() -> None:
    writer = gguf.GGUFWriter(HERE / "values.gguf", "llama")
    writer.add_uint8("u8", 255)
    writer.add_int8("i8", -128)
    writer.add_uint16("u16", 65535)
    writer.add_int16("i16", -32768)
    writer.add_uint32("u32", 4294967295)
    writer.add_int32("i32", -2147483648)
    writer.add_float32("f32", 1e-5)
    writer.add_bool("true", True)
    writer.add_bool("false", False)
    writer.add_string("string", "häß\n€𝄞")
    writer.add_uint64("u64", 2**64 - 1)
    writer.add_int64("i64", -(2**63))
    writer.add_float64("f64", 0.1)
    writer.add_array("bytes", b"\x00\x01\xff")
    writer.add_array("integers", [1, -2, 3])
    writer.add_array("floats", [0.5, -1.25])
    writer.add_array("bools", [True, False])
    writer.add_array("strings", ["", "a", "▁b"])
    writer.add_array("arrays", [["a"], [1, 2], [[True]]])
    writer.add_key_value("doubles", [0.1, 0.2], VALUE.ARRAY, VALUE.FLOAT64)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def tensors() -> None:
    random = np.random.default_rng(4)
    writer = gguf.GGUFWriter(HERE / "tensors.gguf", "qwen2")
    writer.add_custom_alignment(64)
    writer.add_uint32("qwen2.block_count", 1)
    writer.add_tensor("token_embd.weight", random.standard_normal((3, 5)).astype(np.float32))
    writer.add_tensor("output_norm.weight", random.standard_normal(7).astype(np.float16))
    for name, of in [("Q8_0", (2, 32)), ("Q4_0", (1, 64)), ("Q5_1", (2, 32)), ("BF16", (3, 2, 1))]:
        kind = gguf.GGMLQuantizationType[name]
        data = quantize(random.standard_normal(of).astype(np.float32), kind)
        writer.add_tensor(f"blk.0.{name}.weight", data, raw_dtype=kind)
    writer.add_tensor("indices", np.arange(3, dtype=np.int64))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    values()
    tensors()
