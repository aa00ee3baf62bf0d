"""Repeated answers of the live model, before and after reloading."""

import dataclasses
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roentgate.arrays import Images, Probabilities
from roentgate.candidates import Candidate, KerasBackend, ModelFile, PlainBackend, Task, find_model, load_model
from roentgate.errors import ModelError
from roentgate.evidence.records import BATCHINGS
from roentgate.store import Arrays, pack

REPEATS = 5

_RELOAD_TIMEOUT_S = 900


def probe(candidate: Candidate, rows: NDArray[np.int64]) -> Arrays:
    """Return repeated answers to the same test images.

    The model answers five times, in other batches, and after reloading in a fresh process. Its layers are examined
    too.

    Args:
        candidate: The model.
        rows: Test rows to answer.

    Returns:
        The arrays that `InferenceRecord` is made of.
    """
    images = candidate.splits.test.take(rows)

    def answer(batch: Images) -> Probabilities:
        return candidate.predict(batch, together=True)  # prepared anew, because preparation may depend on the batch

    arrays: Arrays = {"repeats": np.stack([answer(images) for _ in range(REPEATS)])}
    for name, size in zip(BATCHINGS, (1, 2, 32, 32), strict=True):
        ordered = images[::-1] if name == "reversed" else images
        answers = np.concatenate([answer(ordered[i : i + size]) for i in range(0, len(ordered), size)])
        arrays[f"batching {name}"] = answers[::-1] if name == "reversed" else answers
    arrays["before saving"] = arrays["repeats"][0] if candidate.probe is None else candidate.probe
    facts: dict[str, Any] = {"layers": None, "displacement": "", "reload_error": ""}
    if candidate.has_layers:
        from roentgate.evidence.geometry import probe_images
        from roentgate.evidence.layer_trace import examine

        facts["layers"], facts["displacement"] = examine(
            candidate.network, candidate.to_input(probe_images(images[:4]))
        )
    try:
        arrays["reloaded"] = _reload(candidate, candidate.to_input(images))
    except ModelError as error:
        facts["reload_error"] = str(error)
    return arrays | {"facts": pack(facts)}


def _reload(candidate: Candidate, inputs: Images) -> Probabilities:
    """Return the answers of a fresh process that loads the model."""
    with tempfile.TemporaryDirectory(prefix="roentgate-") as name:
        folder = Path(name)
        np.save(folder / "inputs.npy", inputs)
        job = {
            "model": str(candidate.source.path),
            "models": str(candidate.options.models),
            "weights": str(candidate.weights) if candidate.weights else None,
            "trust": candidate.options.trust,
            "task": dataclasses.asdict(candidate.task),
        }
        (folder / "job.json").write_text(json.dumps(job), "utf-8")
        command = [
            sys.executable,
            "-c",
            "import sys; from roentgate.evidence.inference_probe import answer_afresh; answer_afresh(sys.argv[1])",
        ]
        try:
            done = subprocess.run(
                [*command, str(folder)], check=False, capture_output=True, text=True, timeout=_RELOAD_TIMEOUT_S
            )
        except subprocess.TimeoutExpired:
            raise ModelError(f"a fresh process did not answer within {_RELOAD_TIMEOUT_S} s") from None
        if done.returncode or not (folder / "answers.npy").is_file():
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise ModelError(f"a fresh process could not load it: {last[:300]}")
        return candidate.columns(np.load(folder / "answers.npy", allow_pickle=False), len(inputs))


def answer_afresh(folder_name: str) -> None:
    """Load a model, answer the inputs, and write the answers.

    Runs in the process that `_reload` starts.

    Args:
        folder_name: Folder with the job and the inputs, to which the answers are written.

    Raises:
        ModelError: The model cannot be loaded or cannot answer.
    """
    folder = Path(folder_name)
    job = json.loads((folder / "job.json").read_text("utf-8"))
    task = job["task"]
    source = find_model(job["model"], Path(job["models"]), trust=job["trust"])
    file = None if source.is_keras_file else ModelFile(source)
    asked = Task(tuple(task["classes"]), tuple(task["image_shape"]), task["seed"])
    if job["weights"]:
        module, build = (None, None) if file is None else (file.module, file.builder(asked))
        kept = load_model(Path(job["weights"]), module, source.name, trust=job["trust"], seed=asked.seed, build=build)
        backend: KerasBackend | PlainBackend = KerasBackend(source.name, lambda: kept)
    elif file is not None:
        ready = file.load(asked)
        backend = PlainBackend(source.name, lambda: ready)
    else:
        raise ModelError(f"{source.path}: nothing to load")
    inputs = np.load(folder / "inputs.npy", allow_pickle=False)
    np.save(folder / "answers.npy", np.asarray(backend.predict(inputs), dtype=np.float32))
