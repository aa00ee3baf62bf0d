"""Time and memory as ratios: ``python tests/benchmarks [NAME ...]``.

- ``border``: all border perturbations against the bare forward passes they need, at 256x256, best batch size.
- ``training``: training through the harness against the article's own code, and decode-once streams against generators.
- ``memory``: peak memory of evaluating 20,000 images against 500.
- ``scorecard``: a first acceptance run, training included, and an unchanged second one.

Wall time on a shared machine varies, so compare ratios and run it twice. No test asserts these figures.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from roentgate.process import one_thread

one_thread()  # before NumPy is imported, as in every run

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
COVID = Path(os.environ.get("ROENTGATE_REAL_DATA", ROOT.parent / "shared" / "data")) / "covid19-dataset"


def border() -> list[str]:
    """Return the cost of the border perturbations in forward passes."""
    from roentgate.candidates.backends.keras_backend import PREDICT_BATCH
    from roentgate.candidates.candidate import Options
    from roentgate.candidates.training import ready
    from roentgate.data.card import Card
    from roentgate.evidence.evidence import Evidence
    from roentgate.policy.policy import load_policy
    from roentgate.store import Store

    with tempfile.TemporaryDirectory() as folder:
        card = Card(name="covid19", root=COVID)
        options = Options(models=ROOT / "models", epochs=1, run_id="benchmark")
        candidate = ready("baseline", card, options, Store(Path(folder)))
        bounds = load_policy(ROOT / "suites" / "policy.toml", data="covid19", classes=candidate.task.classes).border
        images = candidate.splits.test.take(range(len(candidate.splits.test)))
        candidate.predict(images)
        bare: dict[int, float] = {}
        for size in (8, 16, 32, 64):
            candidate.network.predict_on_batch(images[:size])
            started = time.perf_counter()
            for _ in range(3):
                for first in range(0, len(images), size):
                    candidate.network.predict_on_batch(images[first : first + size])
            bare[size] = (time.perf_counter() - started) / (3 * len(images))
        evidence = Evidence(candidate)
        _ = evidence.test
        before = candidate.passes
        started = time.perf_counter()
        evidence.border(bounds)
        spent, passes = time.perf_counter() - started, candidate.passes - before
        best = min(bare, key=lambda size: bare[size])
        started = time.perf_counter()
        for _ in range(3):
            for first in range(0, len(images), best):
                candidate.network.predict_on_batch(images[first : first + best])
        again = (time.perf_counter() - started) / (3 * len(images))
        per_pass = min(bare[best], again)
        return [
            f"border at 256x256: {passes} passes, {spent:.0f} s = {spent / passes / per_pass:.2f} x bare ones",
            "bare passes, ms an image, by batch size: "
            + ", ".join(f"{size}: {1e3 * t:.1f}" for size, t in bare.items()),
            f"best batch size {best}; the harness uses {PREDICT_BATCH}",
        ]


def training() -> list[str]:
    """Return seconds an epoch for three ways of training.

    They are the article's own code, the harness, and the harness on decode-once streams.
    """
    import keras

    from roentgate.candidates import keras_backend
    from roentgate.candidates.discovery import find_model
    from roentgate.candidates.model_file import ModelFile
    from roentgate.candidates.protocols import Recipe, Task
    from roentgate.data.card import Card
    from roentgate.data.read_splits import read_splits

    size, epochs = 128, 4
    with tempfile.TemporaryDirectory() as folder:
        splits = read_splits(Card(name="covid19", root=COVID), image_shape=(size, size, 1), cache=Path(folder))
        file = ModelFile(find_model("baseline", ROOT / "models"))
        task, recipe = Task(splits.classes, (size, size, 1), 0), Recipe(epochs=epochs, patience=epochs)
        streams = file.module.streams(splits, recipe, task)
        ours = keras_backend.default_streams(splits, recipe, task, lambda images: images)

        def plain() -> None:
            network = file.module.build(task)
            network.fit(
                streams.train,
                validation_data=streams.validation,
                epochs=epochs,
                callbacks=[
                    keras.callbacks.EarlyStopping(patience=20, restore_best_weights=True),
                    keras.callbacks.ReduceLROnPlateau(),
                ],
                verbose=0,
            )

        def harness(which: object) -> Callable[[], None]:
            def run() -> None:
                backup = Path(folder) / "backup.npz"
                keras_backend.train(file.module.build(task), which, recipe, backup=backup, title="benchmark")  # type: ignore[arg-type]
                backup.unlink(missing_ok=True)

            return run

        def drain(stream: object) -> Callable[[], None]:
            def run() -> None:
                for index in range(len(stream)):  # type: ignore[arg-type]
                    stream[index]  # type: ignore[index]

            return run

        plain()
        times = {
            "the article's code, plainly": _best(plain),
            "the same through the harness": _best(harness(streams)),
            "the harness's decode-once streams": _best(harness(ours)),
        }
        base = times["the article's code, plainly"]
        lines = [
            f"training at {size}x{size}, {name}: {t / epochs:.2f} s an epoch ({t / base:.2f} x)"
            for name, t in times.items()
        ]
        splits.train.take([0])
        generator, once = _best(drain(streams.train)), _best(drain(ours.train))
        alone = f"generators {generator:.2f} s, decode-once {once:.3f} s ({generator / once:.0f} x)"
        return [*lines, f"one pass over the train images alone: {alone}"]


def memory() -> list[str]:
    """Return the peak memory of two evaluations and their difference.

    Each runs in its own process.
    """
    peaks = {}
    with tempfile.TemporaryDirectory() as name:
        for count in (500, 20_000):
            folder = Path(name) / str(count)
            _draw(folder, count)
            command = [sys.executable, __file__, "evaluate", str(folder)]
            done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
            peaks[count] = float(done.stdout.strip().splitlines()[-1])
    rise = peaks[20_000] - peaks[500]
    return [
        f"peak memory: 500 images {peaks[500]:.0f} MiB, 20,000 {peaks[20_000]:.0f} MiB (+{rise:.0f} MiB; limit +300)"
    ]


def evaluate(folder: str) -> None:
    """Compute all evidence of a small model, and print the peak memory in MiB.

    Args:
        folder: A class-folder tree.
    """
    from roentgate.candidates.candidate import Options
    from roentgate.candidates.training import ready
    from roentgate.data.card import Card
    from roentgate.evidence.evidence import Evidence
    from roentgate.policy.bounds import BorderBounds
    from roentgate.store import Store

    card = Card(name="many", root=Path(folder), image_size=(128, 128))
    options = Options(models=ROOT / "models", run_id="benchmark", epochs=1)
    model = Path(folder).parent / "mean.py"
    model.write_text(
        '"""Mean: compares the two halves of an image."""\n\nimport numpy as np\n\n\nclass _Mean:\n'
        "    def predict(self, images):\n"
        "        left = images[:, :, : images.shape[2] // 2].mean(axis=(1, 2, 3))\n"
        "        right = images[:, :, images.shape[2] // 2 :].mean(axis=(1, 2, 3))\n"
        "        p = 1 / (1 + np.exp(-10 * (left - right)))\n"
        "        return np.stack([p, 1 - p], axis=1)\n\n\ndef load(task):\n    return _Mean()\n",
        "utf-8",
    )
    evidence = Evidence(ready(str(model), card, options, Store(Path(folder) / "store")))
    _ = evidence.test, evidence.validation, evidence.stream("test"), evidence.inference
    evidence.border(BorderBounds(borders=[0.05], stress_borders=[], only_borders=[0.05], only_stress_borders=[]))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def scorecard() -> list[str]:
    """Return the seconds of a first acceptance run and of an unchanged one."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"ROENTGATE_STORE": str(Path(folder) / "store")}
        command = [sys.executable, "-m", "pytest", "suites", "--model", "baseline", "-q", "--report-dir", folder]
        times = []
        for _ in range(2):
            started = time.perf_counter()
            done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env=environment)
            times.append(time.perf_counter() - started)
        record = json.loads((Path(folder) / "phantom" / "baseline" / "scorecard.json").read_text("utf-8"))
        return [
            f"main job: first run {times[0]:.0f} s (limit 150), unchanged {times[1]:.1f} s (limit 5)",
            f"exit status {done.returncode}, outcome {record['outcome']}",
        ]


def _best(run: Callable[[], None], times: int = 2) -> float:
    spent = []
    for _ in range(times):
        started = time.perf_counter()
        run()
        spent.append(time.perf_counter() - started)
    return min(spent)


def _draw(folder: Path, count: int) -> None:
    """Write ``count`` test images and 40 train images of two classes, as PNG."""
    from PIL import Image

    generator = np.random.default_rng(0)
    for split, total in (("train", 40), ("test", count)):
        for index in range(total):
            label = "left" if index % 2 else "right"
            coarse = generator.integers(40, 200, (8, 8), dtype=np.uint8)
            coarse[:, :4] += np.uint8(40 * (label == "left"))
            path = folder / split / label / f"{index:05}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(coarse).resize((128, 128), Image.Resampling.BILINEAR).save(path)


MEASUREMENTS: dict[str, Callable[[], list[str]]] = {
    "border": border,
    "training": training,
    "memory": memory,
    "scorecard": scorecard,
}


def main(arguments: list[str]) -> int:
    """Run the named measurements, or all."""
    if arguments[:1] == ["evaluate"]:
        evaluate(arguments[1])
        return 0
    unknown = [name for name in arguments if name not in MEASUREMENTS]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; known: {', '.join(MEASUREMENTS)}", file=sys.stderr)
        return 2
    for name in arguments or MEASUREMENTS:
        if name in {"border", "training"} and not COVID.is_dir():
            print(f"{name}: skipped, the real images are not at {COVID.name}")
            continue
        for line in MEASUREMENTS[name]():
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
