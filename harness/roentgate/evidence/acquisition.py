"""Answers to images that are corrupted, rotated, shifted or resized differently."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
from numpy.typing import NDArray

from roentgate.arrays import Images
from roentgate.candidates import Predictions
from roentgate.data import Dataset, Interpolation, read_header
from roentgate.evidence.evidence import Evidence
from roentgate.perturbations import SEVERITIES, Corruption, corruptions, geometric
from roentgate.policy import RobustnessBounds

NOISE_SEED = 0
"""Seed of the noise. It does not depend on the seed of training, so that all models see the same corrupted images."""

SIDES = {"down": (1, 0), "up": (-1, 0), "right": (0, 1), "left": (0, -1)}
"""Directions in which an image is shifted, as (down, right)."""


@dataclass(frozen=True)
class RobustnessRecord:
    """Answers on unchanged and changed test images.

    Attributes:
        clean: Answers on unchanged images.
        corrupted: Answers by (corruption, severity), for each corruption of the policy at all severities.
        rotated: Answers by angle in degrees, counter-clockwise.
        shifted: Answers by (share of the side, direction).
        resized: Answers by resizing kernel, without the data's own. Empty if no image is resized.
    """

    clean: Predictions
    corrupted: Mapping[tuple[str, int], Predictions]
    rotated: Mapping[float, Predictions]
    shifted: Mapping[tuple[float, str], Predictions]
    resized: Mapping[str, Predictions]

    def seen_by(self, choose: Callable[[Predictions], Predictions]) -> "RobustnessRecord":
        """Return the record with ``choose`` applied to all answers.

        Args:
            choose: Takes the rows that are to be judged.
        """
        return RobustnessRecord(
            clean=choose(self.clean),
            corrupted={key: choose(answers) for key, answers in self.corrupted.items()},
            rotated={key: choose(answers) for key, answers in self.rotated.items()},
            shifted={key: choose(answers) for key, answers in self.shifted.items()},
            resized={key: choose(answers) for key, answers in self.resized.items()},
        )


def observe(evidence: Evidence, bounds: RobustnessBounds) -> RobustnessRecord:
    """Return the answers under every change of the policy.

    Answers that are not stored are predicted.

    Raises:
        DataError: An image's header cannot be read.
    """
    test = evidence.candidate.splits.test
    corrupted = {
        each.name: each for each in (Corruption(kind, level) for kind in bounds.corruptions for level in SEVERITIES)
    }
    rotations = {f"rotated by {degrees:g} degrees": degrees for degrees in bounds.rotations}
    shifts = {f"shifted {where} by {share:g}": (share, where) for share, where in product(bounds.shifts, SIDES)}
    kernels = {f"resized by {name}": name for name in other_kernels(test, bounds)}
    read = {name: dataclasses.replace(test, interpolation=kernel) for name, kernel in kernels.items()}

    def make(images: Images, rows: NDArray[np.int64], wanted: Sequence[str]) -> Iterator[tuple[str, Images]]:
        chosen = [corrupted[name] for name in wanted if name in corrupted]
        yield from corruptions.apply_each(images, rows, chosen, seed=NOISE_SEED)
        moves = {name: partial(geometric.rotated, degrees=degrees) for name, degrees in rotations.items()}
        for name, (share, where) in shifts.items():
            down, right = SIDES[where]
            moves[name] = partial(geometric.shifted, down=share * down, right=share * right)
        moves |= {name: partial(_read_again, other, rows) for name, other in read.items()}
        for name in wanted:
            if name in moves:
                yield name, moves[name](images)

    answers = evidence.under("acquisition perturbations", [*corrupted, *rotations, *shifts, *kernels], make)
    return RobustnessRecord(
        clean=evidence.test,
        corrupted={(each.kind, each.severity): answers[name] for name, each in corrupted.items()},
        rotated={degrees: answers[name] for name, degrees in rotations.items()},
        shifted={key: answers[name] for name, key in shifts.items()},
        resized={kernel: answers[name] for name, kernel in kernels.items()},
    )


def other_kernels(data: Dataset, bounds: RobustnessBounds) -> list[Interpolation]:
    """Return the policy's resizing kernels without the data's own.

    The list is empty if every image already has the size that the model is given.

    Raises:
        DataError: An image's header cannot be read.
    """
    return [kernel for kernel in bounds.kernels if kernel != data.interpolation] if resizes(data) else []


def resizes(data: Dataset) -> bool:
    """Whether any image has another size than the model is given.

    Headers are read up to the first such image.

    Raises:
        DataError: An image's header cannot be read.
    """
    headers = map(read_header, data.paths)
    return any((header.height, header.width) != data.image_shape[:2] for header in headers)


def _read_again(other: Dataset, rows: NDArray[np.int64], _: Images) -> Images:
    return other.take(rows)
