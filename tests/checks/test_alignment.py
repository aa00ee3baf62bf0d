"""Every stream fault is refused by its checks and diagnosed. Sound streams are accepted."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage, stats

from roentgate.candidates.predictions import Predictions
from roentgate.checks.alignment import (
    clean,
    columns_match,
    complete,
    images_match,
    labels_match,
    order_repeats,
    predictions_match,
)
from roentgate.checks.stream_diagnosis import diagnose
from roentgate.evidence.records import StreamRecord
from roentgate.evidence.streams.image_matching import Matched, Matcher, fit_affine, thumbnails
from roentgate.evidence.streams.passes import Observer, Pass
from roentgate.stats.estimate import Estimate

Array = NDArray[np.float32]
Order = NDArray[np.int64]
Change = Callable[[Array, int], Array]

CLASSES = ("Covid", "Normal", "Viral Pneumonia")
N, BATCH = 66, 8
LABELS = np.repeat([0, 1, 2], [26, 20, 20])
IN_ORDER = np.arange(N)


def draw(count: int, seed: int) -> Array:
    """Return smooth random fields: float32 [count, 64, 64, 1].

    They have a part in common, as images of one organ do.
    """
    generator = np.random.default_rng(seed)
    common = ndimage.gaussian_filter(np.random.default_rng(99).normal(size=(64, 64)), 8)
    fields = ndimage.gaussian_filter(generator.normal(size=(count, 64, 64)), (0, 4, 4))
    fields = fields / fields.std() + 0.7 * common / common.std()
    lowest, highest = fields.min(axis=(1, 2), keepdims=True), fields.max(axis=(1, 2), keepdims=True)
    images: Array = ((fields - lowest) / (highest - lowest)).astype(np.float32)[..., None]
    return images


IMAGES, TRAIN = draw(N, 0), draw(40, 1)


def answers(labels: Order, right: float = 0.85) -> Array:
    """Return the probabilities of a model that is right on a share of the rows."""
    generator = np.random.default_rng(5)
    predicted = np.where(
        generator.random(len(labels)) < right, labels, (labels + generator.integers(1, 3, len(labels))) % 3
    )
    return (0.8 * np.eye(3)[predicted] + 0.2 / 3 + generator.uniform(0, 0.01, (len(labels), 3))).astype(np.float32)


ANSWERS = answers(LABELS)


def unchanged(images: Array, _: int) -> Array:
    return images


@dataclass(frozen=True, kw_only=True)
class Stream:
    """A stream to be collected: rows of three passes, changed images and labels."""

    orders: Sequence[Order] = (IN_ORDER,) * 3
    change: Change = unchanged
    labels: Order | None = None
    source: Array = field(default_factory=lambda: IMAGES)
    images: Array = field(default_factory=lambda: IMAGES)
    probabilities: Array = field(default_factory=lambda: ANSWERS)
    endless: bool = False
    input_range: tuple[float, float] = (0.0, 1.0)

    def batches(self, index: int) -> Iterator[tuple[Array, Order]]:
        """Yield images and rows of one pass."""
        rows = self.orders[index]
        starts = range(0, len(rows), BATCH)
        for start in cycle(starts) if self.endless and index == 2 else starts:
            part = rows[start : start + BATCH]
            yield self.change(self.source[part], index * 1000 + start), part

    def collect(self) -> StreamRecord:
        """Return the record, as a collector would make it."""
        matcher = Matcher(thumbnails(self.images), {"train": thumbnails(TRAIN)})
        passes: list[Pass] = []
        seen: list[Any] = []
        for index in range(3):
            observer, seen = Observer(matcher), []
            for images, rows in self.batches(index):
                matched = observer.see(images)
                seen.append((*self.fitted(images, matched), rows, images.min(), images.max()))
                if observer.full:
                    break
            passes.append(observer.finish())
        gain, offset, residual, rows = (np.concatenate([part[i] for part in seen]) for i in range(4))
        truth = LABELS if self.labels is None else self.labels
        return StreamRecord(
            split="test",
            ids=tuple(f"test/{CLASSES[label]}/{row:04d}.png" for row, label in enumerate(LABELS)),
            classes=CLASSES,
            labels=LABELS,
            batch_size=BATCH,
            other_splits=("train",),
            passes=tuple(passes),
            stream_labels=truth[rows % N],
            gain=gain,
            offset=offset,
            residual=residual,
            lowest=float(min(part[4] for part in seen)),
            highest=float(max(part[5] for part in seen)),
            input_range=self.input_range,
            probabilities=self.probabilities,
            stream_probabilities=self.probabilities[rows % N],
        )

    def fitted(self, images: Array, matched: Matched) -> tuple[Array, Array, Array]:
        """Return gain, offset and residual of each image, NaN without a best row."""
        gain, offset, residual = fit_affine(images, self.images[np.maximum(matched.best, 0)])
        unknown = matched.best < 0
        gain[unknown] = offset[unknown] = residual[unknown] = np.nan
        return gain, offset, residual


def shuffle(seed: int) -> Order:
    return np.random.default_rng(seed).permutation(N)


def is_one(estimate: Estimate) -> bool:
    return estimate.value == estimate.low == estimate.high == 1.0 and not estimate.failing


ROW_CHECKS = {
    "order": order_repeats,
    "complete": complete,
    "images": images_match,
    "labels": labels_match,
    "predictions": predictions_match,
    "clean": clean,
}

ONE_SHUFFLE = (shuffle(3),) * 3
REPEATED = np.insert(IN_ORDER, 20, 19)
BY_BRIGHTNESS = np.argsort(IMAGES.mean(axis=(1, 2, 3)))

DISORDERED = {
    "shuffled each pass": (
        (shuffle(1), shuffle(2), shuffle(3)),
        {"order", "images", "labels", "predictions"},
        "shuffled, different in every pass",
        None,
    ),
    "shuffled once": (ONE_SHUFFLE, {"images", "labels", "predictions"}, "shuffled, the same in every pass", None),
    "shifted ahead": ((np.roll(IN_ORDER, -3),) * 3, {"images", "labels", "predictions"}, "shifted", 3),
    "shifted back": ((np.roll(IN_ORDER, 1),) * 3, {"images", "labels", "predictions"}, "shifted", -1),
    "reversed": ((IN_ORDER[::-1],) * 3, {"images", "labels", "predictions"}, "reversed", None),
    "sorted by brightness": (
        (BY_BRIGHTNESS,) * 3,
        {"images", "labels", "predictions"},
        "sorted by brightness",
        None,
    ),
    "darkest last": ((BY_BRIGHTNESS[::-1],) * 3, {"images", "labels", "predictions"}, "sorted by brightness", None),
    "last partial batch dropped": (
        (IN_ORDER[:64],) * 3,
        {"complete", "images", "labels", "predictions"},
        "last partial batch dropped",
        2,
    ),
    "a full batch dropped": (
        (IN_ORDER[:58],) * 3,
        {"complete", "images", "labels", "predictions"},
        "a row missing",
        8,
    ),
    "a row repeated": (
        (REPEATED,) * 3,
        {"complete", "images", "labels", "predictions"},
        "a row repeated",
        1,
    ),
    "a row repeated in place of the next": (
        (np.where(IN_ORDER == 30, 29, IN_ORDER),) * 3,
        {"complete", "images", "predictions"},
        "a row repeated",
        1,
    ),
    "a row missing": (
        (np.delete(IN_ORDER, 10),) * 3,
        {"complete", "images", "labels", "predictions"},
        "a row missing",
        1,
    ),
    "two laps": (
        (np.tile(IN_ORDER, 2), np.tile(IN_ORDER, 2), IN_ORDER),
        {"order", "complete"},
        "goes on past its end",
        14,
    ),
    "right, then wrong": (
        (IN_ORDER, shuffle(1), shuffle(2)),
        {"order", "images", "labels", "predictions"},
        "right in the first pass and wrong in a later one",
        2,
    ),
    "one image for all": (
        (np.full(N, 4),) * 3,
        {"complete", "images", "labels", "predictions"},
        "a row repeated",
        1,
    ),
}


@pytest.mark.parametrize("fault", DISORDERED)
def test_a_disordered_stream_is_refused_where_it_is_wrong_and_told_as_what_it_is(fault: str) -> None:
    orders, refused, story, k = DISORDERED[fault]
    record = Stream(orders=orders).collect()
    diagnosis = diagnose(record)
    assert (diagnosis.name, diagnosis.k) == (story, k), diagnosis.text
    assert {name for name, check in ROW_CHECKS.items() if not is_one(check(record))} == refused
    for name in refused:
        assert diagnosis.text in ROW_CHECKS[name](record).detail


@pytest.mark.parametrize("fault", ["shifted ahead", "reversed", "sorted by brightness", "last partial batch dropped"])
def test_a_pattern_is_told_with_its_small_chance_under_random_orders(fault: str) -> None:
    diagnosis = diagnose(Stream(orders=DISORDERED[fault][0]).collect())
    assert diagnosis.p_value.value == pytest.approx(1 / 2001)
    assert diagnosis.p_value.n == 2000
    assert "p = 0.0005" in diagnosis.text


def test_a_shuffle_is_told_with_a_chance_that_says_no_more_in_place_than_by_luck() -> None:
    assert diagnose(Stream(orders=ONE_SHUFFLE).collect()).p_value.value > 0.05


def test_failing_rows_are_those_that_are_out_of_place() -> None:
    swapped = IN_ORDER.copy()
    swapped[[3, 40]] = swapped[[40, 3]]
    record = Stream(orders=(swapped,) * 3).collect()
    rows = ("test/Covid/0003.png", "test/Normal/0040.png")
    assert images_match(record).failing == rows
    assert labels_match(record).failing == rows
    assert images_match(record).value == pytest.approx(64 / 66)
    assert is_one(complete(record))


def test_the_pair_of_an_image_and_its_label_is_told_from_the_position_of_both() -> None:
    assert "66 of 66 that of the image they come with" in labels_match(Stream(orders=ONE_SHUFFLE).collect()).detail


def test_a_sound_stream_is_told_in_full_by_every_check() -> None:
    record = Stream().collect()
    assert {name: check(record).detail for name, check in ROW_CHECKS.items()} == {
        "order": "66 of 66 positions hold the same image in each of 3 passes",
        "complete": "66 of 66 rows delivered exactly once in each pass",
        "images": "66 of 66 images are at the position of their row in every pass",
        "labels": "66 of 66 labels are the class of the row at their position",
        "predictions": "66 of 66 answers agree, largest difference 0",
        "clean": "66 of 66 images are their image on the declared scale",
    }


def test_the_labelled_pass_alone_says_whether_labels_go_with_their_images() -> None:
    labels = LABELS.copy()
    labels[[3, 4]] = (labels[[3, 4]] + 1) % 3
    detail = labels_match(Stream(orders=(IN_ORDER, IN_ORDER, shuffle(3)), labels=labels).collect()).detail
    assert ", 64 of 66 that of the image they come with" in detail
    assert "labels are the class of the row at their position, " in detail


def test_a_row_that_comes_twice_is_named_and_no_other() -> None:
    detail = complete(Stream(orders=(REPEATED, IN_ORDER, IN_ORDER)).collect()).detail
    assert detail.startswith(
        "65 of 66 rows delivered exactly once in each pass, 1 more than once (test/Covid/0019.png); "
    )


def test_images_like_no_image_are_counted_over_all_passes() -> None:
    def strange(images: Array, seed: int) -> Array:
        return np.random.default_rng(seed).random(images.shape, np.float32) if seed % 1000 == 0 else images

    detail = images_match(Stream(change=strange).collect()).detail
    text = "images are at the position of their row in every pass, 24 images are like no image of this split; "
    assert text in detail  # the first batch of 8 in each of 3 passes


def test_dirty_images_are_named_by_their_rows() -> None:
    record = Stream(orders=ONE_SHUFFLE).collect()
    residual = record.residual.copy()
    residual[[5, 6]] = 1.0
    found = clean(replace(record, residual=residual))
    rows = record.passes[-1].best[[5, 6]]
    assert set(found.failing) == {record.ids[row] for row in rows}
    assert (found.hits, found.n) == (64, 66)
    assert found.detail.startswith("64 of 66 images are their image on the declared scale; altered by geometry")


def test_a_missing_row_is_named() -> None:
    assert "1 missing (test/Covid/0010.png)" in complete(Stream(orders=DISORDERED["a row missing"][0]).collect()).detail


def gained(factor: float, offset: float = 0) -> Change:
    return lambda images, _: (images * factor + offset).astype(np.float32)


def larger(images: Array, _: int) -> Array:
    return ndimage.zoom(images, (1, 1.5, 1.25, 1), order=1)  # type: ignore[no-any-return]


SOUND: dict[str, Stream] = {
    "plain": Stream(),
    "three channels": Stream(change=lambda images, _: np.repeat(images, 3, axis=3)),
    "declared affine range": Stream(change=gained(2, -1), input_range=(-1, 1)),
    "declared byte range": Stream(change=gained(255), input_range=(0, 255)),
    "labelled pass without end": Stream(endless=True),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_stream_is_accepted_by_every_check_and_told_as_in_order(name: str) -> None:
    record = SOUND[name].collect()
    failing = [check for check, question in ROW_CHECKS.items() if not is_one(question(record))]
    assert not failing
    assert diagnose(record).name == "in order"


def test_bytes_are_matched_and_fitted_as_numbers() -> None:
    record = Stream(change=lambda images, _: np.round(images * 255).astype(np.uint8), input_range=(0, 255)).collect()
    assert is_one(images_match(record))
    assert is_one(clean(record))


def rotated(images: Array, seed: int) -> Array:
    generator = np.random.default_rng(seed)
    parts = [
        ndimage.rotate(each, generator.uniform(-15, 15), reshape=False, order=1, mode="reflect") for each in images
    ]
    return np.stack(parts)


def shifted(images: Array, seed: int) -> Array:
    generator = np.random.default_rng(seed)
    parts = [ndimage.shift(each, (*generator.uniform(-6, 6, 2), 0), order=1, mode="reflect") for each in images]
    return np.stack(parts)


def noisy(images: Array, seed: int) -> Array:
    return (images + np.random.default_rng(seed).normal(0, 0.05, images.shape)).astype(np.float32)


def flipped_at_random(images: Array, seed: int) -> Array:
    flips = np.random.default_rng(seed).random(len(images)) < 0.5
    return np.where(flips[:, None, None, None], images[:, :, ::-1], images)


DIRTY: dict[str, tuple[Change, str]] = {
    "mirrored": (lambda images, _: images[:, :, ::-1], "altered by geometry or noise in 66, alike in every pass"),
    "upside down": (lambda images, _: images[:, ::-1], "altered by geometry or noise in 66, alike in every pass"),
    "flipped at random": (flipped_at_random, "differently in every pass (augmentation?)"),
    "rotated": (rotated, "differently in every pass (augmentation?)"),
    "shifted within the background": (shifted, "differently in every pass (augmentation?)"),
    "noisy": (noisy, "altered by geometry or noise in 66, differently in every pass"),
    "gamma": (lambda images, _: images**1.5, "altered by geometry or noise in 66, alike in every pass"),
    "rescale missing": (gained(255), "rescale missing in 66: pixels are 255 x image +0"),
    "rescale twice": (gained(1 / 255), "rescale applied twice in 66: pixels are 0.003922 x image"),
    "wrong constant": (gained(255 / 256), "another constant in 66: pixels are 0.9961 x image"),
    "undeclared range": (gained(2, -1), "another constant in 66: pixels are 2 x image -1, in -1 to 1"),
    "inverted": (gained(-1, 1), "inverted in 66"),
}


@pytest.mark.parametrize("name", DIRTY)
def test_a_dirty_stream_is_refused_as_dirty_and_not_as_disordered(name: str) -> None:
    change, text = DIRTY[name]
    record = Stream(change=change).collect()
    estimate = clean(record)
    assert estimate.value < 0.7
    assert text in estimate.detail
    for check in (order_repeats, complete, images_match):
        assert check(record).value >= (64 / 66 if change is shifted else 1)
    assert diagnose(record).name == "in order"


NEAREST, BILINEAR = "Pillow's nearest", "tf.image bilinear"


def test_the_kernel_of_training_is_accepted_and_another_one_is_refused() -> None:
    record = Stream().collect()
    alike = replace(record, kernels=(BILINEAR,), training_kernels=(BILINEAR, NEAREST), by_kernel=record.probabilities)
    assert is_one(clean(alike))
    assert "resized by tf.image bilinear" in clean(alike).detail
    assert is_one(predictions_match(alike))
    unlike = replace(alike, training_kernels=(NEAREST,))
    assert clean(unlike).value == 0
    assert (
        "another resizing kernel in test than in training (tf.image bilinear, Pillow's nearest)" in clean(unlike).detail
    )
    assert is_one(clean(replace(alike, training_kernels=())))  # training is altered, so that its kernel is unknown


def test_answers_are_compared_on_rows_of_the_stream_s_kernel() -> None:
    record = Stream().collect()
    other = np.roll(record.probabilities, 1, axis=1)
    assert not is_one(predictions_match(replace(record, kernels=(BILINEAR,), by_kernel=other)))
    card = replace(record, probabilities=other, kernels=(BILINEAR,), by_kernel=record.probabilities)
    assert is_one(predictions_match(card))
    assert not is_one(predictions_match(replace(card, kernels=(), by_kernel=None)))


def test_a_missing_rescale_names_the_input_range_as_remedy() -> None:
    assert "set INPUT_RANGE = (0.0, 255.0)" in clean(Stream(change=gained(255)).collect()).detail


def test_another_size_is_recognised_and_refused_as_altered() -> None:
    record = Stream(change=larger).collect()
    assert is_one(images_match(record))
    assert "alike in every pass (preprocessing? no usual resizing kernel fits)" in clean(record).detail or is_one(
        clean(record)
    )


@pytest.mark.parametrize("change", [rotated, shifted, flipped_at_random])
def test_a_stream_both_augmented_and_shuffled_is_refused_as_shuffled(change: Change) -> None:
    record = Stream(orders=(shuffle(1), shuffle(2), shuffle(3)), change=change).collect()
    assert images_match(record).value < 0.3
    assert order_repeats(record).value < 0.3
    assert diagnose(record).name == "shuffled, different in every pass"


def test_order_faults_are_not_dirt() -> None:
    assert is_one(clean(Stream(orders=(shuffle(1), shuffle(2), shuffle(3))).collect()))


@pytest.mark.parametrize(
    "change",
    [
        lambda images, _: np.zeros_like(images),
        lambda images, seed: np.random.default_rng(seed).random(images.shape, dtype=np.float32),
        lambda images, _: np.full_like(images, np.nan),
    ],
    ids=["blank", "noise", "not a number"],
)
def test_images_that_are_no_images_are_refused_and_their_scale_is_undefined(change: Change) -> None:
    record = Stream(change=change).collect()
    assert images_match(record).value == 0
    assert complete(record).value == 0
    assert np.isnan(clean(record).value)
    assert (clean(record).low, clean(record).high) == (0, 1)
    assert diagnose(record).name == "not recognised"


def test_swapped_splits_are_told_with_the_name_of_the_other() -> None:
    rows = np.arange(40)
    record = Stream(source=TRAIN, orders=(rows,) * 3).collect()
    assert images_match(record).value == 0
    diagnosis = diagnose(record)
    assert diagnosis.name == "splits swapped"
    assert "images of 'train', not of 'test'" in diagnosis.text


def test_permuted_label_columns_are_told_with_the_classes_they_stand_for() -> None:
    record = Stream(labels=np.array([1, 0, 2])[LABELS]).collect()
    assert labels_match(record).value == pytest.approx(20 / 66)
    diagnosis = diagnose(record)
    assert diagnosis.name == "class columns permuted"
    assert "'Normal' means 'Covid' and 'Covid' means 'Normal'" in diagnosis.text
    assert is_one(images_match(record))


def test_labels_shuffled_among_images_in_order_are_told_apart_from_permuted_columns() -> None:
    record = Stream(labels=np.random.default_rng(0).permutation(LABELS)).collect()
    assert labels_match(record).value < 0.7
    assert diagnose(record).name == "labels shuffled"


def test_labels_that_are_not_one_hot_are_refused_by_name() -> None:
    record = Stream(labels=np.full(N, -1)).collect()
    assert labels_match(record).value == 0
    assert diagnose(record).name == "labels not one-hot"


def test_permuted_output_columns_are_told_even_where_rows_and_labels_are_in_order() -> None:
    record = Stream(probabilities=ANSWERS[:, [1, 2, 0]]).collect()
    diagnosis = diagnose(record)
    assert diagnosis.name == "class columns permuted"
    assert "model's answers" in diagnosis.text


def test_answers_of_a_shuffled_stream_are_told_as_the_shuffle_trap() -> None:
    estimate = predictions_match(Stream(orders=(shuffle(1), shuffle(2), shuffle(3))).collect())
    assert estimate.value < 0.4
    assert "shuffle trap" in estimate.detail


def test_answers_through_other_pixels_are_not_compared() -> None:
    record = Stream(change=gained(255)).collect()
    moved = replace(record, stream_probabilities=answers(LABELS, right=0.7))
    estimate = predictions_match(moved)
    assert np.isnan(estimate.value)
    assert (estimate.low, estimate.high, estimate.n, estimate.method) == (0, 1, 66, "census")
    assert estimate.detail == "the stream's pixels are not those of the rows, so answers cannot be compared"


@pytest.mark.parametrize(("difference", "agrees"), [(5e-5, True), (5e-4, False)])
def test_answers_agree_within_the_tolerance(difference: float, *, agrees: bool) -> None:
    record = Stream().collect()
    moved = record.probabilities.copy()
    moved[7, 0] += difference
    estimate = predictions_match(replace(record, stream_probabilities=moved))
    assert is_one(estimate) == agrees
    assert estimate.failing == (() if agrees else (record.ids[7],))


def test_an_answer_that_is_not_a_number_agrees_with_nothing() -> None:
    record = Stream().collect()
    broken = np.full_like(record.probabilities, np.nan)
    assert predictions_match(replace(record, probabilities=broken, stream_probabilities=broken)).value == 0


def predictions(probabilities: Array, labels: Order = LABELS) -> Predictions:
    ids = tuple(str(row) for row in range(len(labels)))
    return Predictions(ids=ids, classes=CLASSES, labels=labels, probabilities=probabilities)


@pytest.mark.parametrize("columns", [[1, 0, 2], [1, 2, 0], [0, 2, 1]])
def test_permuted_columns_are_too_good_to_be_chance(columns: list[int]) -> None:
    estimate = columns_match(predictions(ANSWERS[:, columns]))
    assert estimate.high < 0.01
    assert "right as the columns stand" in estimate.detail
    assert " means " in estimate.detail


def test_columns_in_their_places_are_not_refused_even_for_a_middling_model() -> None:
    for right in (0.55, 0.7, 0.99):
        assert columns_match(predictions(answers(LABELS, right))).low > 0.5


def test_columns_of_a_model_without_skill_or_of_few_rows_are_undefined() -> None:
    constant = np.tile(np.array([0.8, 0.1, 0.1], np.float32), (N, 1))
    for unknown in (
        columns_match(predictions(constant)),
        columns_match(predictions(answers(np.repeat([0, 1, 2], 9)), np.repeat([0, 1, 2], 9))),
        columns_match(predictions(np.full((N, 3), np.nan, np.float32))),
    ):
        assert np.isnan(unknown.value)
        assert (unknown.low, unknown.high) == (0, 1)
        assert unknown.detail


def test_few_rows_of_a_class_are_judged_together_with_those_of_the_other_split() -> None:
    few, permuted = np.repeat([0, 1, 2], 9), [1, 0, 2]
    small = predictions(answers(few)[:, permuted], few)
    found = columns_match(small, predictions(ANSWERS[:, permuted]))
    assert found.high < 0.01
    assert found.detail.startswith("with the rows of the other split, since this one is small: ")
    large = predictions(ANSWERS)
    assert columns_match(large, small) == columns_match(large)
    ten = predictions(ANSWERS[:30], np.repeat([0, 1, 2], 10))
    assert columns_match(ten, large) == columns_match(ten)
    lacking = predictions(ANSWERS[:20], np.repeat([0, 1], 10))  # no row of the third class
    assert columns_match(lacking, large).detail.startswith("with the rows of the other split")


def test_equal_answers_have_equal_chances_of_permuted_columns() -> None:
    """The answers are few and middling, and another assignment suits them a little better."""
    labels = np.repeat([0, 1, 2], 10)
    predicted = np.where(np.arange(30) % 10 < 5, labels, np.array([1, 0, 2])[labels])
    predicted[[0, 10]] = 1, 0
    middling = predictions(np.eye(3, dtype=np.float32)[predicted], labels)
    few = predictions(middling.probabilities[::2], labels[::2])
    for found in ([columns_match(middling) for _ in range(3)], [columns_match(few, middling) for _ in range(3)]):
        assert found[0] == found[1] == found[2]
        assert found[0].n == 2000
        assert 0.001 < found[0].value < 0.999
    assert columns_match(middling, seed=0) == columns_match(middling) != columns_match(middling, seed=1)


def test_the_permutation_test_of_columns_agrees_with_the_exact_distribution() -> None:
    labels, predicted = np.repeat([0, 1], 12), np.repeat([1, 0, 0, 1], [9, 3, 9, 3])
    ids = tuple(map(str, range(24)))
    given = Predictions(
        ids=ids, classes=("a", "b"), labels=labels, probabilities=np.eye(2, dtype=np.float32)[predicted]
    )
    exact = float(stats.hypergeom(24, 12, 12).cdf(3))
    assert columns_match(given, draws=5000).value == pytest.approx(exact, abs=0.006)


def test_a_near_duplicate_may_stand_for_its_near_duplicate_and_neither_is_missing() -> None:
    images = IMAGES.copy()
    images[50] = images[12]
    record = Stream(images=images, source=images).collect()
    assert all(is_one(check(record)) for check in ROW_CHECKS.values())
    order = np.random.default_rng(8).permutation(N)
    assert is_one(complete(Stream(images=images, source=images, orders=(order,) * 3).collect()))


def test_a_blank_image_among_others_is_no_fault() -> None:
    images = IMAGES.copy()
    images[9] = 0
    assert all(is_one(check(Stream(images=images, source=images).collect())) for check in ROW_CHECKS.values())


def test_a_stream_that_delivers_nothing_matches_nothing() -> None:
    record = Stream().collect()
    none = Observer(Matcher(thumbnails(IMAGES))).finish()
    nothing = replace(
        record,
        passes=(none,) * 3,
        stream_labels=record.stream_labels[:0],
        gain=record.gain[:0],
        offset=record.offset[:0],
        residual=record.residual[:0],
        stream_probabilities=record.stream_probabilities[:0],
    )
    assert np.isnan(order_repeats(nothing).value)
    assert np.isnan(clean(nothing).value)
    for check in (complete, images_match, labels_match):
        assert check(nothing).value == 0


def test_an_unlabelled_pass_without_end_is_refused_since_predict_would_not_end() -> None:
    laps = np.array(list(islice(cycle(IN_ORDER), N + BATCH)))
    record = Stream(orders=(laps, laps, IN_ORDER)).collect()
    assert not is_one(complete(record))
    assert "goes on after its 66 rows" in complete(record).detail
