"""Evidence on one model, computed on first use and stored."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from roentgate.arrays import Array, Images, Probabilities
from roentgate.candidates import Candidate, LayerSize, Predictions, note_undeclared
from roentgate.code_key import code_digest
from roentgate.data import Dataset
from roentgate.evidence import inference_probe
from roentgate.evidence.probe_watch import ProbeWatch, WatchRecord
from roentgate.evidence.records import BATCHINGS, BorderRecord, InferenceRecord, StreamRecord, TrainingRecord
from roentgate.evidence.streams import stream_observer
from roentgate.perturbations import Border, Interior, KeepBorder, Perturbation
from roentgate.perturbations import border as perturbations
from roentgate.policy import BorderBounds
from roentgate.store import Arrays, digest, pack, unpack

INTERIOR_FILL = "mean"
_BATCH = 32

Changes = Callable[[Images, NDArray[np.int64], Sequence[str]], Iterator[tuple[str, Images]]]
"""Yields (name, changed images) for images float32 [b, H, W, C], their test rows int64 [b] and the wanted names."""


class Evidence:
    """All evidence on one candidate.

    Attributes are computed on first use and kept in the store.

    Args:
        candidate: The model, ready to answer.
    """

    def __init__(self, candidate: Candidate) -> None:
        self.candidate = candidate
        self._store = candidate.store
        self._base = digest(
            candidate.fingerprint,
            candidate.pixels_fingerprint,
            candidate.source.libraries,
            code_digest(__name__),
            version("scikit-learn"),
            candidate.recipe.batch_size,
        )
        self._memory: dict[str, Arrays] = {}
        self._watch = ProbeWatch(candidate)
        self._borders: dict[str, BorderRecord] = {}
        self._streams: dict[str, StreamRecord] = {}

    @cached_property
    def test(self) -> Predictions:
        """Answers on the test rows in canonical order."""
        return self._predictions(self.candidate.splits.test)

    @cached_property
    def validation(self) -> Predictions:
        """Answers on the validation rows in canonical order."""
        return self._predictions(self.candidate.splits.validation)

    def stream(self, split: str) -> StreamRecord:
        """Return what the evaluation stream of ``split`` delivered, pass by pass."""
        if split not in self._streams:
            data = self._split(split)
            kept = self._keep(f"stream-{split}", lambda: stream_observer.observe_stream(self.candidate, data))
            answers = getattr(self, split).probabilities
            self._streams[split] = stream_observer.stream_record(self.candidate, data, kept, answers)
        return self._streams[split]

    @cached_property
    def training_stream(self) -> TrainingRecord:
        """Held-out images that one pass of the training stream delivers."""
        kept = self._keep("training stream", lambda: stream_observer.observe_training(self.candidate))
        return stream_observer.training_record(self.candidate, kept)

    @cached_property
    def inference(self) -> InferenceRecord:
        """Answers on the probe rows: repeated, in other batches, and after reloading."""
        rows = self.candidate.probe_rows()
        kept = self._keep("inference", lambda: inference_probe.probe(self.candidate, rows))
        facts = unpack(kept["facts"])
        return InferenceRecord(
            ids=tuple(self.candidate.splits.test.ids[row] for row in rows),
            repeats=kept["repeats"],
            batchings={name: kept[f"batching {name}"] for name in BATCHINGS},
            before_saving=kept["before saving"],
            reloaded=kept.get("reloaded"),
            reload_error=facts["reload_error"],
            layers=None if facts["layers"] is None else tuple(facts["layers"]),
            displacement=facts["displacement"],
        )

    @property
    def watched(self) -> WatchRecord:
        """The answers to the probe rows after each piece of evidence so far."""
        return self._watch.record()

    def ask_again(self) -> WatchRecord:
        """Return `watched` with the answers that the model gives now, if it was asked anything in this run."""
        self._watch.ask()
        return self.watched

    @cached_property
    def architecture(self) -> list[LayerSize]:
        """Name, type, output shape and parameters of each layer, in order.

        The list is empty for a model without layers.
        """
        if not self.candidate.has_layers:
            return []

        def compute() -> Arrays:
            return {"layers": pack(self.candidate.backend.layers())}

        layers: list[LayerSize] = unpack(self._keep("architecture", compute)["layers"])
        return layers

    @cached_property
    def classification(self) -> tuple[list[list[int]], str]:
        """Confusion counts and scikit-learn's classification report.

        Counts are indexed by true class and predicted class. Rows without an answer are left out.
        """

        def compute() -> Arrays:
            from sklearn.metrics import classification_report, confusion_matrix

            test, indices = self.test, list(range(len(self.test.classes)))
            counts = confusion_matrix(test.labels, test.answers, labels=indices)
            report = classification_report(
                test.labels,
                test.answers,
                labels=indices,
                target_names=list(test.classes),
                digits=3,
                zero_division=np.nan,
            )
            return {"counts": counts, "report": pack(report)}

        kept = self._keep("classification", compute)
        return kept["counts"].tolist(), unpack(kept["report"])

    def border(self, bounds: BorderBounds) -> BorderRecord:
        """Return the answers under each mask and border swap of the policy."""
        key = bounds.model_dump_json()
        if key not in self._borders:
            self._borders[key] = self._border(bounds)
        return self._borders[key]

    def _border(self, bounds: BorderBounds) -> BorderRecord:
        test = self.candidate.splits.test
        borders = list(dict.fromkeys([*bounds.borders, *bounds.stress_borders]))
        only = list(dict.fromkeys([*bounds.only_borders, *bounds.only_stress_borders]))
        other, same = perturbations.donors(test.labels, self.candidate.task.classes, seed=self.candidate.task.seed)
        masks: dict[str, Perturbation] = {
            mask.name: mask
            for mask in (
                *(Border(width, infill) for width in borders for infill in bounds.infills),
                *(KeepBorder(width, infill) for width in only for infill in bounds.infills),
                *(Interior(width, INTERIOR_FILL) for width in borders),
            )
        }
        donors = {"other": other, "same": same}
        swaps = {_swap_name(width, kind): (width, kind) for width in borders for kind in donors}

        def make(images: Images, rows: NDArray[np.int64], wanted: Sequence[str]) -> Iterator[tuple[str, Images]]:
            yield from perturbations.apply_each(images, [masks[name] for name in wanted if name in masks])
            for kind, partners in donors.items():
                widths = [swaps[name][0] for name in wanted if name in swaps and swaps[name][1] == kind]
                if widths:
                    donor_images = test.take(np.where(partners[rows] >= 0, partners[rows], rows))
                    for width in widths:
                        yield _swap_name(width, kind), perturbations.swap_border(images, donor_images, width)

        answers = self.under("border perturbations", [*masks, *swaps], make)
        return BorderRecord(
            clean=self.test,
            masked={
                (width, infill): answers[Border(width, infill).name] for width in borders for infill in bounds.infills
            },
            only={
                (width, infill): answers[KeepBorder(width, infill).name] for width in only for infill in bounds.infills
            },
            interior={width: answers[Interior(width, INTERIOR_FILL).name] for width in borders},
            other={width: answers[_swap_name(width, "other")] for width in borders},
            same={width: answers[_swap_name(width, "same")] for width in borders},
            donor_labels=np.where(other >= 0, test.labels[other], -1),
            donor_rows=other,
        )

    @cached_property
    def notes(self) -> list[str]:
        """Warnings about the model for the scorecard."""
        notes = []
        majority = max(np.bincount(self.validation.labels)) / max(len(self.validation), 1)
        right = float((self.validation.answers == self.validation.labels).mean()) if len(self.validation) else 1.0
        if self.candidate.history is not None and right <= majority:
            notes.append(
                f"never beat the majority: {self.candidate.name} answers {right:.0%} of the validation images right, "
                f"and the commonest class alone is {majority:.0%} of them (usual causes: dead units, too high a rate)"
            )
        if self.candidate.undeclared:
            names = ", ".join(self.candidate.undeclared[:5])
            notes.append(f"not cached: the model file reads what it does not declare ({names}); add it to FILES")
        return notes

    def _split(self, name: str) -> Dataset:
        data: Dataset = getattr(self.candidate.splits, name)
        return data

    def _key(self, name: str, made_by: Callable[..., object]) -> str:
        return digest(self._base, name, code_digest(made_by.__module__))

    def keep(self, title: str, compute: Callable[[], Mapping[str, Array]], *, of: object) -> Arrays:
        """Return evidence that another module computes, and store it.

        It is computed at most once per run.

        Args:
            title: Name in the timings.
            compute: Computes the evidence. Its module, and everything that module imports, are part of the key.
            of: All that the evidence depends on besides the model, the images and the code. JSON-serialisable.
        """
        return self._keep(title, compute, key=digest(self._key(title, compute), of))

    def _keep(
        self,
        name: str,
        compute: Callable[[], Mapping[str, Array]],
        *,
        key: str | None = None,
    ) -> Arrays:
        """Return evidence, computed at most once per run.

        It is stored for the next run if all its inputs are known.
        """
        key = key or self._key(name, compute)

        def timed() -> Mapping[str, Array]:
            started = time.perf_counter()
            result = self._watch.around(compute)
            self.candidate.seconds[name] = time.perf_counter() - started
            return result

        if key not in self._memory:
            made = self._store.arrays(key, timed, keep=self._reusable) if self._reusable() else timed()
            self._memory[key] = self._watch.note(name, made)
        return self._memory[key]

    def _reusable(self) -> bool:
        """Whether computed evidence may be stored.

        It may if the model file has read nothing that it does not declare.
        """
        note_undeclared(self.candidate)
        return not self.candidate.undeclared

    def _predictions(self, data: Dataset) -> Predictions:
        kept = self._keep(f"clean-{data.name}", lambda: {"probabilities": self._predict_all(data)})
        return self._answers(data, kept["probabilities"])

    def _answers(self, data: Dataset, probabilities: Probabilities) -> Predictions:
        return Predictions(
            ids=data.ids,
            classes=self.candidate.task.classes,
            labels=data.labels,
            probabilities=probabilities,
            groups=data.units,
            grouped_by="patient" if data.units is None else data.unit,
            model=self.candidate.fingerprint,
        )

    def _predict_all(self, data: Dataset) -> Probabilities:
        bar = _bar(len(data), f"predicting {data.name}")
        parts = []
        for images in data.batches(_BATCH):
            parts.append(self.candidate.predict(images))
            bar.update(len(images))
        bar.close()
        return np.concatenate(parts)

    def under(self, title: str, names: Sequence[str], make: Changes) -> dict[str, Predictions]:
        """Return the answers on changed test images, by change.

        Answers that are not stored are predicted in one pass over the images.

        Args:
            title: Name in the progress bar and the timings.
            names: Names of the changes. Each is part of a key, so it must state every parameter of its change.
            make: Makes the changes, see `Changes`. Its module, and everything that module imports, are part of the
                keys.
        """
        test, keys = self.candidate.splits.test, {name: self._key(name, make) for name in names}
        with self._store.lock("evidence", self._key(title, make)):
            found = {name: self._find(title, name, key) for name, key in keys.items()}
            missing = [name for name, answers in found.items() if answers is None]
            if missing:
                made = self._watch.around(lambda: self._predict_changed(title, missing, make))
                watched = {name: array for name, array in made.items() if name not in missing}
                for name in missing:
                    item = {"probabilities": made[name]} | watched
                    if self._reusable():
                        self._store.put_arrays(keys[name], item)
                    # In memory too, for a model whose answers may not be stored.
                    self._memory[keys[name]] = self._watch.note(title, item, change=name)
                    found[name] = self._memory[keys[name]]["probabilities"]
        return {name: self._answers(test, answers) for name, answers in found.items() if answers is not None}

    def _find(self, title: str, name: str, key: str) -> Probabilities | None:
        if key not in self._memory:
            kept = self._store.find_arrays(key) if self._reusable() else None
            if kept is None:
                return None
            self._memory[key] = self._watch.note(title, kept, change=name)
        return self._memory[key]["probabilities"]

    def _predict_changed(self, title: str, names: Sequence[str], make: Changes) -> dict[str, Probabilities]:
        started, test = time.perf_counter(), self.candidate.splits.test
        parts: dict[str, list[Probabilities]] = {name: [] for name in names}
        bar = _bar(len(test) * len(names), f"{title}, {self.candidate.name}")
        for start in range(0, len(test), _BATCH):
            rows = np.arange(start, min(start + _BATCH, len(test)))
            for name, changed in make(test.take(rows), rows, names):
                parts[name].append(self.candidate.predict(changed))
                bar.update(len(rows))
        bar.close()
        self.candidate.seconds[title] = time.perf_counter() - started
        return {name: np.concatenate(pieces) for name, pieces in parts.items()}


def _swap_name(width: float, kind: str) -> str:
    return f"swap-{width:g}-{kind}"


def _bar(total: int, title: str) -> tqdm:
    return tqdm(total=total, desc=title, unit="image", leave=False, mininterval=0.5, delay=1.0)
