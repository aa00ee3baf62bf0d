"""The command trains and judges a model on real images.

Its exit status agrees with its scorecard.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from roentgate.policy import load_policy
from roentgate.policy.optional_suites import SUITES
from roentgate.scorecard import Record

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "harness" / "roentgate" / "scorecard" / "scorecard.schema.json"
TIME_LIMIT_S = 1200


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a module in the project's folder, outside any other pytest run."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=ROOT,
        env=kept | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT_S,
        check=False,
    )


def subjects(record: Record, check: str) -> set[str]:
    return {row["subject"] for row in record["rows"] if row["check"] == check}


@pytest.mark.real_data("covid19-dataset")
@pytest.mark.trains
def test_real_images_are_judged_in_full_and_the_exit_status_is_the_records(real_data: Path, tmp_path: Path) -> None:
    """A network of two epochs need not be good."""
    images = real_data / "covid19-dataset"
    done = run(
        "pytest",
        "suites/",
        "--model",
        "baseline",
        "--data",
        f"covid19={images}",
        "--image-size",
        "96",
        "--epochs",
        "2",
        "--report-dir",
        tmp_path / "reports",
        ROENTGATE_STORE=str(tmp_path / "store"),
    )
    reports = tmp_path / "reports" / "covid19" / "baseline"
    scorecard = reports / "scorecard.json"
    assert scorecard.is_file(), f"status {done.returncode}, no scorecard\n{done.stdout}\n{done.stderr}"

    record = json.loads(scorecard.read_text("utf-8"))
    assert done.returncode == (0 if record["outcome"] != "fail" else 1), done.stdout
    assert record["complete"], done.stdout
    assert record["model"]["weights"] == "trained here"
    assert record["task"]["image_shape"] == [96, 96, 1]
    assert record["dataset"]["counts"]["test"] == {"Covid": 26, "Normal": 20, "Viral Pneumonia": 20}

    policy = load_policy(ROOT / "suites" / "policy.toml", data="phantom", classes=())
    required = {(suite, check) for suite, check in policy.gate.pairs if suite not in SUITES}
    assert required <= {(row["suite"], row["check"]) for row in record["rows"]}
    assert subjects(record, "recall_floor") == {"Covid", "Normal", "Viral Pneumonia"}
    assert subjects(record, "stream_complete") == {"validation", "test"}
    broken = [row["detail"] for row in record["rows"] if row["reason"] == "crashed"]
    assert not broken

    checked = run("check_jsonschema", "--schemafile", SCHEMA, scorecard)
    assert checked.returncode == 0, checked.stdout

    assert (reports / "scorecard.md").is_file()
    assert str(scorecard.with_suffix(".md").name) in done.stdout, "the run closes with the path of its scorecard"
    summary = run("roentgate", "scorecard", reports, "--summary")
    assert summary.returncode == 0, summary.stderr
    assert "recall_floor" in summary.stdout
