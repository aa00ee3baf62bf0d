"""Diagnoses of records made by hand have the right name, number and text."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from roentgate.checks.stream_diagnosis import Story, columns, diagnose, named
from roentgate.evidence.records import StreamRecord
from roentgate.evidence.streams.passes import Pass

N, BATCH = 24, 5
CLASSES = ("Covid", "Normal")
ORDER = list(range(N))
BACKWARDS = ORDER[::-1]
MIXED = [int(row) for row in np.random.default_rng(0).permutation(N)]
OTHERWISE = [int(row) for row in np.random.default_rng(1).permutation(N)]


def seen(
    rows: Sequence[int], brightness: Sequence[float] | None = None, other: int = 0, altered: Sequence[int] = ()
) -> Pass:
    """Return a pass whose images are these rows, -1 for none.

    The first ``other`` images are another split's. Images ``altered`` beyond recognition correlate weakly, all others
    perfectly.
    """
    m = len(rows)
    shades = np.tile([0.4, 0.6, 0.5], m)[:m] if brightness is None else np.asarray(brightness)
    return Pass(
        best=np.array(rows, np.int64),
        correlation=np.where(np.isin(np.arange(m), altered), 0.5, 1.0).astype(np.float32),
        own=np.full(m, 0.1, np.float32),
        near_duplicate=np.full(m, 0.1, np.float32),
        foreign=np.where(np.arange(m) < other, 0, -1),
        digest=np.arange(m, dtype=np.uint64),
        brightness=shades.astype(np.float32),
        endless=False,
    )


def story_of(
    *passes: Pass, labels: Sequence[int] | None = None, answered: Sequence[int] | None = None, n: int = N
) -> Story:
    """Return the diagnosis of three passes, or of one pass repeated three times."""
    each = passes if len(passes) > 1 else passes * 3
    truth, m = np.arange(n) % 2, len(each[-1])
    answers = np.eye(2, dtype=np.float32)[truth if answered is None else answered]
    record = StreamRecord(
        split="test",
        ids=tuple(f"r{row:02d}" for row in range(n)),
        classes=CLASSES,
        labels=truth,
        batch_size=BATCH,
        other_splits=("train", "validation"),
        passes=tuple(each),
        stream_labels=np.array(truth[each[-1].best] if labels is None else labels, np.int64),
        gain=np.ones(m, np.float32),
        offset=np.zeros(m, np.float32),
        residual=np.zeros(m, np.float32),
        lowest=0.0,
        highest=1.0,
        input_range=(0.0, 1.0),
        probabilities=answers,
        stream_probabilities=answers[each[-1].best],
    )
    return diagnose(record, draws=200, seed=3)


RARE = f"(p = {1 / 201:.2g} against random orders)"
SWAPPED = [1, 0, *ORDER[2:]]

STORIES: dict[str, tuple[Sequence[int], str, int | None, str]] = {
    "in order": (ORDER, "in order", None, "in order"),
    "reversed": (BACKWARDS, "reversed", None, f"reversed: the last row comes first {RARE}"),
    "forward": (
        [*ORDER[3:], *ORDER[:3]],
        "shifted",
        3,
        f"shifted by 3: position i shows row i + 3 {RARE}",
    ),
    "forward by one": ([*ORDER[1:], 0], "shifted", 1, f"shifted by 1: position i shows row i + 1 {RARE}"),
    "back": ([*ORDER[-2:], *ORDER[:-2]], "shifted", -2, f"shifted by -2: position i shows row i - 2 {RARE}"),
    "halfway": ([*ORDER[12:], *ORDER[:12]], "shifted", 12, f"shifted by 12: position i shows row i + 12 {RARE}"),
    "nearly halfway": ([*ORDER[11:], *ORDER[:11]], "shifted", 11, f"shifted by 11: position i shows row i + 11 {RARE}"),
    "batch dropped": (
        ORDER[:20],
        "last partial batch dropped",
        4,
        f"last partial batch dropped: the last 4 of 24 rows are missing {RARE}",
    ),
    "row missing": ([*ORDER[:7], *ORDER[8:]], "a row missing", 1, f"in order, but missing: r07 {RARE}"),
    "five rows missing": (
        [*ORDER[:3], *ORDER[8:]],
        "a row missing",
        5,
        f"in order, but missing: r03, r04, r05 and 2 more {RARE}",
    ),
    "row repeated": ([*ORDER[:8], *ORDER[7:23]], "a row repeated", 1, f"in order, but repeated: r07 {RARE}"),
    "goes on": (
        [*ORDER, 0, 1],
        "goes on past its end",
        2,
        f"the stream goes on after its 24 rows, for at least 2 images more {RARE}",
    ),
    "two exchanged": (
        SWAPPED,
        "out of place",
        2,
        "2 images out of place, the same in every pass: at r00, r01",
    ),
    "shuffled": (
        MIXED,
        "shuffled, the same in every pass",
        None,
        "shuffled, the same in every pass: 0% of the images of the first pass are in place",
    ),
}
"""Rows in the order of the stream, and the diagnosis: its name, number and text."""


@pytest.mark.parametrize(("rows", "name", "k", "text"), STORIES.values(), ids=STORIES)
def test_a_story_is_told_by_its_name_its_number_and_its_words(
    rows: Sequence[int], name: str, k: int | None, text: str
) -> None:
    story = story_of(seen(rows))
    assert (story.name, story.k, story.text) == (name, k, text)
    assert 0 < story.p_value.value <= 1


def test_the_chance_of_an_order_is_that_of_random_orders() -> None:
    for rows in (ORDER, BACKWARDS, [*ORDER[3:], *ORDER[:3]], SWAPPED):
        assert story_of(seen(rows)).p_value.value == 1 / 201
    assert story_of(seen(MIXED)).p_value.value > 0.3


@pytest.mark.parametrize(
    ("name", "five"),
    [
        ("in order", seen([0, 1, 2, 3, 4])),
        ("reversed", seen([4, 3, 2, 1, 0])),
        ("sorted by brightness", seen([1, 3, 0, 4, 2], brightness=[0.1, 0.2, 0.3, 0.4, 0.5])),
    ],
)
def test_of_few_rows_some_random_orders_tell_the_same_story_and_always_as_many(name: str, five: Pass) -> None:
    """Five rows have 120 orders, so some of 200 random ones fit.

    The seed decides how many.
    """
    stories = [story_of(five, n=5) for _ in range(8)]
    assert {story.name for story in stories} == {name}
    assert 1 / 201 < stories[0].p_value.value < 0.06
    assert len({story.p_value.value for story in stories}) == 1


def test_columns_near_their_level_have_the_chance_that_the_seed_gives_them() -> None:
    """With 5 of 24 answers not permuted, the p-value depends on the seed."""
    answered = 1 - np.arange(N) % 2
    answered[:5] = [0, 1, 0, 1, 0]
    stories = [story_of(seen(ORDER), answered=answered.tolist()) for _ in range(8)]
    assert {story.name for story in stories} == {"class columns permuted"}
    assert {story.p_value.value for story in stories} == {1 / 201}
    others = {columns(np.arange(N) % 2, answered, CLASSES, draws=200, seed=seed).value for seed in range(8)}
    assert max(others) == 5 / 201


def test_answers_near_chance_are_told_from_it_by_the_seed() -> None:
    """With 6 of 24 answers not permuted, the seed decides whether they beat chance."""
    answered = 1 - np.arange(N) % 2
    answered[:6] = [0, 1, 0, 1, 0, 1]
    defined = []
    for seed in range(8):
        found = [columns(np.arange(N) % 2, answered, CLASSES, draws=200, seed=seed) for _ in range(4)]
        assert len({each.defined for each in found}) == 1
        defined.append(found[0].defined)
    assert defined == [True, False, True, True, False, False, True, True]


def test_equal_records_have_equal_chances() -> None:
    """The p-values are neither near 0 nor near 1, so that other draws would differ."""
    some = [row if row < 2 else MIXED[row] for row in ORDER]
    truth = np.arange(N) % 2
    doubtful = np.where(np.arange(N) < 10, 1 - truth, truth).tolist()
    for rows, labels in ((some, None), (ORDER, doubtful)):
        chances = [story_of(seen(rows), labels=labels).p_value for _ in range(2)]
        assert chances[0] == chances[1]
        assert 1 / 201 < chances[0].value < 1
    stories = [story_of(seen(range(6)), labels=[1, 0, 1, 0, 1, 0], n=6) for _ in range(3)]  # 1 order of 10 fits as well
    assert {story.name for story in stories} == {"class columns permuted"}
    assert stories[0].p_value == stories[1].p_value == stories[2].p_value
    assert 0.05 < stories[0].p_value.value < 0.2
    truth, answers = np.repeat([0, 1], 20), np.repeat([0, 1, 0, 1], [6, 14, 14, 6])
    first, second = (columns(truth, answers, CLASSES, draws=300, seed=5) for _ in range(2))
    assert first == second
    assert 1 / 301 < first.value < 0.2


def test_columns_can_be_told_apart_from_ten_rows_a_class() -> None:
    nine, ten = ((np.repeat([0, 1], [20, rows]), np.repeat([1, 0], [20, rows])) for rows in (9, 10))
    few = columns(*nine, CLASSES, draws=200, seed=0)
    assert (few.defined, few.low, few.high, few.n) == (False, 0.0, 1.0, 29)
    assert few.detail == "a class has 9 rows; columns can be told apart from 10 rows a class"
    found = columns(*ten, CLASSES, draws=200, seed=0)
    assert found.value == 1 / 201
    assert found.detail == (
        "p-value over 200 random orders; 0 of 30 right as the columns stand, "
        "30 if 'Normal' means 'Covid' and 'Covid' means 'Normal'"
    )
    none = columns(np.repeat([0, 1], [20, 0]), np.zeros(20, np.int64), CLASSES, draws=200, seed=0)
    assert none.detail.startswith("a class has 0 rows")


def test_columns_of_answers_at_chance_or_in_place_say_so() -> None:
    labels = np.repeat([0, 1], 20)
    lost = columns(labels, np.arange(40) % 2, CLASSES, draws=200, seed=0)
    assert (lost.defined, lost.n) == (False, 40)
    assert lost.detail == "under no assignment of columns to classes are the answers better than chance"
    sound = columns(labels, labels, CLASSES, draws=200, seed=0)
    assert sound.value == 1.0
    assert sound.detail == "p-value over 200 random orders; 40 of 40 right as the columns stand"


def test_answers_in_the_wrong_columns_are_told_where_all_else_is_in_order() -> None:
    story = story_of(seen(ORDER), answered=(1 - np.arange(N) % 2).tolist())
    assert (story.name, story.k) == ("class columns permuted", None)
    assert story.p_value.value == 1 / 201
    assert story.text == (f"class columns permuted in the model's answers: {story.p_value.detail} (p = {1 / 201:.2g})")


def test_images_altered_beyond_recognition_are_no_disorder_while_four_of_five_are_in_place() -> None:
    right = [row % 2 for row in ORDER]
    story = story_of(seen([1, 2, 3, 0, *ORDER[4:]], altered=range(4)), labels=right)
    assert (story.name, story.k) == ("in order", 4)
    assert story.text == "the images are in order, though 4 of them are altered beyond recognition"
    assert story_of(seen([1, 2, 3, 4, 0, *ORDER[5:]], altered=range(5)), labels=right).name.startswith("shuffled")
    assert story_of(seen(SWAPPED, altered=(0,)), labels=right).name == "out of place"


def test_the_first_pass_is_the_one_that_is_told() -> None:
    assert story_of(seen(BACKWARDS), seen(MIXED), seen(MIXED)).name == "reversed"
    assert story_of(seen(MIXED), seen(BACKWARDS), seen(BACKWARDS)).name == "shuffled, different in every pass"
    rising = seen(MIXED, brightness=np.linspace(0, 1, N).tolist())
    assert story_of(rising, seen(OTHERWISE), seen(OTHERWISE)).name == "sorted by brightness"
    assert story_of(seen(OTHERWISE), rising, rising).name.startswith("shuffled")
    assert story_of(seen([-1] * N, other=N), seen(MIXED), seen(MIXED)).name == "splits swapped"
    assert story_of(seen(MIXED), seen([-1] * N, other=N), seen(MIXED)).name.startswith("shuffled")
    story = story_of(seen(ORDER), seen(MIXED), seen(ORDER))
    assert (story.name, story.k) == ("right in the first pass and wrong in a later one", 2)


def test_half_of_the_images_must_be_none_of_the_split_to_be_not_recognised() -> None:
    known, unknown = ORDER[: N // 2], [-1] * (N // 2)
    story = story_of(seen([*known, *unknown]))
    assert (story.name, story.k) == ("not recognised", 12)
    assert story.text == "not recognised: 12 of 24 images are no image of 'test' (blank? noise?)"
    assert not story.p_value.defined
    assert (story.p_value.low, story.p_value.high, story.p_value.n) == (0.0, 1.0, 0)
    assert story.p_value.method == "no order to permute"
    assert story_of(seen([*ORDER[:13], *[-1] * 11])).name == "a row missing"


def test_half_of_the_images_must_be_of_another_split_for_the_splits_to_be_swapped() -> None:
    story = story_of(seen([-1] * 12 + ORDER[12:], other=12))
    assert (story.name, story.k) == ("splits swapped", None)
    assert story.text == "splits swapped: 12 of 24 images are images of 'train', not of 'test'"
    assert math.isnan(story.p_value.value)
    assert (story.p_value.low, story.p_value.high, story.p_value.n) == (0.0, 1.0, 0)
    assert story.p_value.method == "no order to permute"
    assert story_of(seen([-1] * 11 + ORDER[11:], other=11)).name != "splits swapped"


def test_a_pass_that_goes_wrong_later_is_named_by_its_number() -> None:
    story = story_of(seen(ORDER), seen(ORDER), seen(MIXED))
    assert (story.name, story.k) == ("right in the first pass and wrong in a later one", 3)
    assert story.text.startswith("right in the first pass and wrong in pass 3, where 0% of the images are in place")


def test_a_shuffle_that_changes_is_told_from_one_that_stays() -> None:
    story = story_of(seen(MIXED), seen(OTHERWISE), seen(MIXED))
    assert story.name == "shuffled, different in every pass"
    assert story.text == f"{story.name}: 0% of the images of the first pass are in place"


@pytest.mark.parametrize("way", [1, -1])
def test_images_in_the_order_of_their_brightness_are_sorted(way: int) -> None:
    story = story_of(seen(MIXED, brightness=[0.5 + way * 0.01 * (place // 2) for place in range(N)]))
    assert (story.name, story.k) == ("sorted by brightness", None)
    assert story.text == f"sorted by brightness {RARE}"
    assert story.p_value.value == 1 / 201
    assert story_of(seen(MIXED, brightness=[*np.linspace(0.1, 0.9, N - 1), 0.2])).name.startswith("shuffled")


def test_images_of_one_brightness_are_in_no_order_of_it() -> None:
    assert story_of(seen(MIXED, brightness=[0.5] * N)).name.startswith("shuffled")


def test_wrong_labels_of_images_in_order_are_counted() -> None:
    truth = np.arange(N) % 2
    few = np.where(np.arange(N) < 6, 1 - truth, truth)
    story = story_of(seen(ORDER), labels=few.tolist())
    assert (story.name, story.k) == ("labels shuffled", 6)
    assert story.text == "the images are in order, their labels are not: 6 of 24 are wrong"
    for invalid, name in ((12, "labels not one-hot"), (11, "labels shuffled")):
        given = np.where(np.arange(N) < invalid, -1, truth)
        story = story_of(seen(ORDER), labels=given.tolist())
        assert (story.name, story.k) == (name, invalid)
        assert story.p_value.value < 0.3
    assert story_of(seen(ORDER), labels=[-1] * N).text == "24 of 24 labels are not one-hot"
    story = story_of(seen(ORDER), labels=(1 - truth).tolist())
    assert (story.name, story.k) == ("class columns permuted", None)
    assert story.text == (
        "class columns permuted in the labels: 'Normal' means 'Covid' and 'Covid' means 'Normal' in 24 of 24 rows "
        f"(p = {story.p_value.value:.2g} against random labels)"
    )


def test_labels_are_permuted_columns_where_four_of_five_follow_one_permutation() -> None:
    truth = np.arange(N) % 2
    for moved, name, k in (
        (20, "class columns permuted", None),
        (19, "labels shuffled", 19),
        (4, "labels shuffled", 4),
    ):
        story = story_of(seen(ORDER), labels=np.where(np.arange(N) < moved, 1 - truth, truth).tolist())
        assert (story.name, story.k) == (name, k)
        assert (story.p_value.value == 1 / 201) == (moved != 19)


def test_half_of_the_positions_must_fit_a_shift() -> None:
    for fit, name in ((12, "shifted"), (10, "shuffled, the same in every pass")):
        first, *others = sorted(set(ORDER) - set(range(3, 3 + fit)), reverse=True)
        rows = [*range(3, 3 + fit), *others, first]
        assert sum((row - place) % N == 3 for place, row in enumerate(rows)) == fit
        assert story_of(seen(rows)).name == name


def test_three_rows_are_too_few_to_be_told_as_reversed_or_shifted() -> None:
    for rows in ([2, 1, 0], [1, 2, 0]):
        assert story_of(seen(rows), n=3).name == "shuffled, the same in every pass"


def test_rows_that_go_back_are_not_merely_missing() -> None:
    assert story_of(seen(BACKWARDS[:-1])).name == "reversed"


def test_an_empty_stream_misses_every_row() -> None:
    story = story_of(seen([]))
    assert story.name in {"a row missing", "last partial batch dropped"}


def test_three_ids_are_named_and_the_rest_counted() -> None:
    ids = ("a", "b", "c", "d", "e")
    assert named(ids, np.array([], np.int64)) == ""
    assert named(ids, np.array([1, 2, 4])) == "b, c, e"
    assert named(ids, np.array([0, 1, 2, 3])) == "a, b, c and 1 more"
    assert named(ids, np.arange(5)) == "a, b, c and 2 more"
