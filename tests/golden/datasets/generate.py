"""Parquet files as the Hub has them: lists of structures in which absent fields are null, two compressions."""

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet

HERE = Path(__file__).parent
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}

rows = [
    {
        "id": 1,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is f of 1?"},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "content": "2", "tool_call_id": "a"},
            {"role": "assistant", "content": "2 🙂"},
        ],
        "tools": json.dumps([{"type": "function", "function": {"name": "f"}}]),
        "score": 0.5,
    }
]
rows += [
    {
        "id": id,
        "messages": [
            {"role": "user", "content": f"Zähle bis {id}!"},
            {"role": "assistant", "content": " ".join(str(n) for n in range(1, id + 1))},
        ],
        "score": id / 4,
    }
    for id in range(2, 40)
]
table = pyarrow.Table.from_pylist(rows)
for compression in ["snappy", "zstd"]:
    pyarrow.parquet.write_table(table, HERE / f"{compression}.parquet", compression=compression, row_group_size=16)

with open(HERE / "rows.jsonl", "w", encoding="utf-8") as file:
    for row in rows:
        row = json.loads(json.dumps(row))
        row["tools"] = json.loads(row.get("tools") or "null")
        for message in row["messages"]:
            message["content"] = message["content"] or ""
            for call in message.get("tool_calls", []):
                call["function"]["arguments"] = json.loads(call["function"]["arguments"])
        row = {name: value for name, value in row.items() if value is not None}
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
