"""Whether a model still answers the probe images as before, and answers every image.

A model may change its answers after many images. It is asked about the same images again after each piece of evidence
that it was asked for, and at the end of the run. The answers are stored with that evidence.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from roentgate.arrays import Array, BoolArray, Images, IntArray, Probabilities
from roentgate.candidates import Candidate
from roentgate.store import Arrays

_ANSWERS, _UNANSWERED = "watch answers", "watch unanswered"


@dataclass(frozen=True, eq=False)
class WatchRecord:
    """What the probe images were answered after each piece of evidence.

    Attributes:
        ids: Row ids of the test images.
        answers: Probabilities (m, n, K) of the n probe rows, by when they were given.
        unanswered: Whether a test image got an answer that is not finite, under any change, bool (rows,).
        others: Number of answers that are not finite to images that are no changed test images, by evidence.
    """

    ids: tuple[str, ...]
    answers: Mapping[str, Probabilities]
    unanswered: BoolArray
    others: Mapping[str, int]


class ProbeWatch:
    """Asks a candidate about its probe images again.

    Args:
        candidate: The model.
    """

    def __init__(self, candidate: Candidate) -> None:
        self._candidate = candidate
        self._answers: dict[tuple[str, str], Probabilities] = {}
        self._unanswered = np.zeros(len(candidate.splits.test), np.bool_)
        self._others: dict[str, int] = {}
        self._counted = np.zeros(2, np.int64)

    @cached_property
    def _images(self) -> Images:
        return self._candidate.splits.test.take(self._candidate.probe_rows())

    def around(self, compute: Callable[[], Mapping[str, Array]]) -> Arrays:
        """Return what ``compute`` returns, with the watch's own arrays if it asked the model.

        What evidence inside this one asked is counted there.
        """
        before = self._passed() - self._counted
        made = dict(compute())
        asked, unanswered = self._passed() - self._counted - before
        if not asked:
            return made
        answers = self._ask()
        self._counted = self._passed() - before
        return made | {_ANSWERS: answers, _UNANSWERED: np.array(unanswered)}

    def note(self, title: str, arrays: Mapping[str, Array], *, change: str = "") -> Arrays:
        """Return arrays without those of the watch, which are noted under a title.

        Args:
            title: Of the evidence.
            arrays: New or from the store.
            change: Name of the change of the test images of which these are the ``probabilities``.
        """
        if _ANSWERS in arrays:
            self._answers[f"after {title}", change] = np.asarray(arrays[_ANSWERS], np.float32)
            if change:
                self._unanswered |= ~np.isfinite(np.asarray(arrays["probabilities"], np.float32)).all(axis=1)
            else:
                self._others[title] = int(np.asarray(arrays[_UNANSWERED]))
        return {key: array for key, array in arrays.items() if key not in {_ANSWERS, _UNANSWERED}}

    def ask(self) -> None:
        """Ask the model now, at the end of a run that has asked it.

        A model that was asked nothing has had no chance to change: then the answers stored with the evidence stand.
        """
        if self._candidate.passes:
            self._answers["at the end of the run", ""] = self._ask()

    def record(self) -> WatchRecord:
        """Return all answers so far."""
        times = sorted({time for time, _ in self._answers})
        return WatchRecord(
            ids=self._candidate.splits.test.ids,
            answers={
                time: np.stack([self._answers[key] for key in sorted(self._answers) if key[0] == time])
                for time in times
            },
            unanswered=self._unanswered.copy(),
            others={title: count for title, count in sorted(self._others.items()) if count},
        )

    def _passed(self) -> IntArray:
        return np.array([self._candidate.passes, self._candidate.unanswered], np.int64)

    def _ask(self) -> Probabilities:
        return self._candidate.predict(self._images, together=True)
