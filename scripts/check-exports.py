"""Reads what `report` and `export` write with the programs it is for.

    check-exports.py SHIPWORTHY PROJECT XSD

PROJECT holds a finished run of a baseline and a candidate; XSD is the schema of JUnit reports. Inspect reads its
logs, huggingface_hub the card and the evaluation results, xmlschema checks the JUnit report and jsonschema
`decision.json`; the numbers must be those of
`decision.json`.
"""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import xmlschema
import yaml
from huggingface_hub import ModelCard
from huggingface_hub._eval_results import parse_eval_result_entries
from inspect_ai.log import read_eval_log

shipworthy, project, xsd = (Path(argument).resolve() for argument in sys.argv[1:4])
out = project / "exports"


def run(*arguments):
    return subprocess.run([shipworthy, *arguments], cwd=project, check=True, capture_output=True, text=True).stdout


decision = json.loads(run("report", "--format", "json"))
means = {model["model"]: model["mean"] for model in decision["models"]}
candidate = decision["candidates"][0]
name = candidate["model"]

schema = json.loads((Path(__file__).parent.parent / "docs" / "decision.schema.json").read_text())
jsonschema.Draft202012Validator.check_schema(schema)
jsonschema.Draft202012Validator(schema).validate(decision)

junit = project / "junit.xml"
junit.write_text(run("report", "--format", "junit"))
xmlschema.XMLSchema(xsd).validate(junit)
assert ("<failure" in junit.read_text()) == (decision["exit_code"] != 0)

run("export", "inspect", "--out", out)
for model, mean in means.items():
    (path,) = (out / model).glob("*.json")
    log = read_eval_log(path)
    assert log.status == "success" and log.eval.task, log
    scored = [sample.scores["overall"].value for sample in log.samples if "overall" in sample.scores]
    assert len(log.samples) == log.results.total_samples and len(scored) == log.results.completed_samples
    assert abs(log.results.scores[0].metrics["mean"].value - mean) < 1e-12
    assert all(sample.messages for sample in log.samples)

run("export", "lm-eval", "--out", out)
for model, mean in means.items():
    results = json.loads((out / model / "results.json").read_text())["results"]
    (samples,) = (out / model).glob("samples_*.jsonl")
    task = samples.stem.removeprefix("samples_")
    assert abs(results[task]["score,none"] - mean) < 1e-12
    assert all(json.loads(line)["metrics"] == ["score"] for line in samples.open())

run("export", "model-card", "--out", out, "--dataset", "owner/people")
front = (out / name / "model-index.yaml").read_text()
card = ModelCard(f"---\n{front}---\n# {name}\n")
values = {result.metric_type: result.metric_value for result in card.data.eval_results}
assert abs(values["mean_score"] - means[name]) < 1e-12
assert abs(values["difference"] - candidate["difference"]) < 1e-12
assert abs(values["p_value"] - candidate["p_adjusted"]) < 1e-12
entries = yaml.safe_load((out / name / ".eval_results" / "shipworthy.yaml").read_text())
(entry,) = parse_eval_result_entries(entries)
assert entry.dataset_id == "owner/people" and abs(entry.value - means[name]) < 1e-12

print("exports: read by Inspect, huggingface_hub and the JUnit schema, with the numbers of decision.json")
