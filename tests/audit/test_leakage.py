"""Leaks and label shortcuts are counted, and the policy's bounds on them decide.

A model is compared with the best cheap probe.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from roentgate.audit import file_facts, leakage, probe_skill, probes
from roentgate.audit.leakage import DataRecord
from roentgate.audit.near_duplicates import Duplicates
from roentgate.audit.scan import ImageFacts, Survey
from roentgate.candidates.predictions import Predictions
from roentgate.checks import metrics
from roentgate.data.headers import Header
from roentgate.policy.bounds import AuditBounds
from roentgate.stats import Verdict
from roentgate.store import Store
from tests.runs.test_suites import judged, suite
from tests.support import planted
from tests.support.altered import altered

DATA = suite("data")
CLASSES = ("Covid", "Normal")
HEADER = Header(digest="", size=1, format="PNG", mode="L", bits=8, width=96, height=96, quantisation="", exif=False)
IMAGE = ImageFacts(header=HEADER, pixels="x", mean=0.5, deviation=0.2, histogram=(1.0,))
N = 12  # train 4, validation 4, test 4; two of each class
SPLIT, LABELS = np.repeat([0, 1, 2], 4), np.tile([0, 0, 1, 1], 3)


def survey_of(**changes: object) -> Survey:
    names = [
        f"{('train', 'validation', 'test')[split]}/{CLASSES[label]}/{row}.png"
        for row, (split, label) in enumerate(zip(SPLIT, LABELS, strict=True))
    ]
    seen = Survey(
        classes=CLASSES,
        ids=tuple(names),
        paths=tuple(map(Path, names)),
        split=SPLIT,
        labels=LABELS,
        groups=None,
        sources=None,
        images=(IMAGE,) * N,
        database=Path("nowhere"),
    )
    return altered(seen, **changes)


def duplicates(*pairs: tuple[int, int, float]) -> Duplicates:
    clusters = np.arange(N)
    for first, second, _ in pairs:
        clusters[clusters == clusters[second]] = clusters[first]
    return Duplicates(
        first=np.array([first for first, _, _ in pairs], np.int64),
        second=np.array([second for _, second, _ in pairs], np.int64),
        kind=np.full(len(pairs), 2),
        similarity=np.array([value for _, _, value in pairs], np.float32),
        mirrored=np.zeros(len(pairs), np.bool_),
        almost=np.zeros((0, 2), np.int64),
        almost_similarity=np.zeros(0, np.float32),
        likeness=np.full(N, 0.9, np.float32),
        inverted=np.zeros(N, np.bool_),
        clusters=clusters,
    )


def record(seen: Survey | None = None, found: Duplicates | None = None) -> DataRecord:
    """Return a record with these results."""
    made = DataRecord(SimpleNamespace(), Store(Path("nowhere")))  # type: ignore[arg-type]
    vars(made)["seen"] = seen or survey_of()
    vars(made)["duplicates"] = duplicates() if found is None else found
    vars(made)["masks"] = None
    return made


def test_a_test_image_in_train_is_counted_and_named() -> None:
    shared = leakage.images_shared(record(found=duplicates((0, 8, 0.99), (1, 9, 0.95))), "test", "train")
    assert (shared.hits, shared.n, shared.low, shared.high) == (2, 4, 0.5, 0.5)
    assert shared.failing == ("test/Covid/8.png", "test/Covid/9.png")
    assert "test/Covid/8.png = train/Covid/0.png" in shared.detail


def test_a_near_duplicate_of_a_near_duplicate_is_a_near_duplicate() -> None:
    shared = leakage.images_shared(record(found=duplicates((0, 4, 0.99), (4, 8, 0.99))), "test", "train")
    assert shared.hits == 1
    assert "test/Covid/8.png = train/Covid/0.png" in shared.detail


def test_of_several_near_duplicates_the_most_similar_is_named() -> None:
    shared = leakage.images_shared(record(found=duplicates((0, 8, 0.91), (1, 8, 0.99))), "test", "train")
    assert "= train/Covid/1.png" in shared.detail


def test_each_pair_of_splits_is_counted_by_itself() -> None:
    found = record(found=duplicates((4, 8, 0.99)))
    assert leakage.images_shared(found, "test", "train").hits == 0
    assert leakage.images_shared(found, "test", "validation").hits == 1


def test_the_same_image_in_two_classes_is_counted_on_both_sides() -> None:
    conflict = leakage.labels_in_conflict(record(found=duplicates((0, 2, 0.99), (4, 5, 0.99))))
    assert conflict.failing == ("train/Covid/0.png", "train/Normal/2.png")


def test_copies_within_a_split_are_those_beyond_the_first() -> None:
    found = record(found=duplicates((0, 1, 0.99), (0, 2, 0.99), (0, 8, 0.99)))
    assert leakage.duplicate_images(found, "train").hits == 2
    assert leakage.duplicate_images(found, "test").hits == 0


def test_patients_in_two_splits_are_counted_as_patients() -> None:
    groups = ("a", "a", "b", "c", "d", "d", "e", "f", "a", "a", "g", "h")
    shared = leakage.patients_shared(record(survey_of(groups=groups)), "test", "train")
    assert (shared.hits, shared.n) == (1, 3)
    assert shared.failing == ("test/Covid/8.png", "test/Covid/9.png")


def test_without_patients_nothing_is_said_of_them() -> None:
    assert not leakage.patients_shared(record(), "test", "train").defined


def test_equal_names_count_within_a_class_only() -> None:
    paths = [Path(f"{row}.png") for row in range(N)]
    paths[8], paths[9] = Path("0.png"), Path("2.png")
    assert leakage.names_shared(record(survey_of(paths=tuple(paths))), "test", "train").hits == 1


def test_images_that_cannot_be_read_are_counted() -> None:
    images = (ImageFacts(header=None, fault="image 'a': broken"), *[IMAGE] * (N - 1))
    found = leakage.unreadable(record(survey_of(images=images)))
    assert found.hits == 1
    assert "image 'a': broken" in found.detail


ATYPICAL = {
    "blank": replace(IMAGE, deviation=0.0),
    "all but black": replace(IMAGE, mean=0.01),
    "all but white": replace(IMAGE, mean=0.99),
    "300x96 pixels": replace(IMAGE, header=replace(HEADER, width=300)),
}


@pytest.mark.parametrize(("reason", "image"), ATYPICAL.items(), ids=ATYPICAL)
def test_an_atypical_image_is_reported_with_its_reason(reason: str, image: ImageFacts) -> None:
    assert leakage.odd_reasons(record(survey_of(images=(image, *[IMAGE] * (N - 1))))) == {0: reason}


def test_an_image_unlike_any_other_and_an_inverted_one_are_odd() -> None:
    found = duplicates()
    found.likeness[3] = 0.2
    found.inverted[5] = True
    reasons = leakage.odd_reasons(record(found=found))
    assert set(reasons) == {3, 5}
    assert "unlike any other image" in reasons[3]
    assert "inverted" in reasons[5]


def answered(right: NDArray[np.bool_], *, certain: float = 0.8) -> Predictions:
    test = np.flatnonzero(SPLIT == 2)
    labels = LABELS[test]
    answers = np.where(right, labels, 1 - labels)
    probabilities = np.where(np.eye(2)[answers] == 1, certain, 1 - certain).astype(np.float32)
    seen = survey_of()
    return Predictions(tuple(seen.ids[row] for row in test), CLASSES, labels, probabilities)


def test_rows_with_a_near_duplicate_in_train_are_left_out_and_no_others() -> None:
    answers = answered(np.ones(4, np.bool_))
    kept = record(found=duplicates((0, 8, 0.99), (4, 9, 0.99))).unseen(answers)
    assert kept.ids == answers.ids[1:]
    assert len(kept.labels) == len(kept.probabilities) == 3
    assert record().unseen(answers) is answers


def test_a_label_is_doubtful_where_the_probe_denies_it_surely(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = np.array([True, False, True, True])
    for certain, expected in ((0.95, 1), (0.8, 0)):
        monkeypatch.setattr(DataRecord, "answers", lambda _self, _probe, c=certain: answered(wrong, certain=c))
        assert probe_skill.doubtful_labels(record()).hits == expected


@pytest.mark.parametrize(
    ("sources", "value"),
    [
        (tuple("ns"[label] for label in LABELS), 1.0),
        (tuple("ns" * 6), 0.0),
    ],
    ids=["the class", "unrelated"],
)
def test_association_of_source_and_class(sources: tuple[str, ...], value: float) -> None:
    assert leakage.association(record(survey_of(sources=sources))).value == pytest.approx(value)


def test_association_meets_scipy() -> None:
    from scipy.stats.contingency import association

    rng = np.random.default_rng(0)
    sources = tuple(rng.choice(["a", "b", "c"], N).tolist())
    table = np.zeros((len(set(sources)), 2), np.int64)
    np.add.at(table, (np.unique(sources, return_inverse=True)[1], LABELS), 1)
    assert leakage.association(record(survey_of(sources=sources))).value == pytest.approx(association(table))


@pytest.mark.parametrize("sources", [None, ("one",) * N])
def test_association_is_undefined_without_two_sources(sources: tuple[str, ...] | None) -> None:
    assert not leakage.association(record(survey_of(sources=sources))).defined
    assert not probe_skill.source_skill(record(survey_of(sources=sources))).defined


def many(right: int, each: int = 100, *, groups: bool = False) -> Predictions:
    answers = np.concatenate([np.where(np.arange(each) < right, label, 1 - label) for label in (0, 1)])
    names = tuple(f"r{row:03d}" for row in range(2 * each))
    patients = tuple(f"p{row // 10}" for row in range(2 * each)) if groups else None
    return Predictions(names, CLASSES, np.repeat([0, 1], each), np.eye(2, dtype=np.float32)[answers], patients)


def test_chance_p_tells_skill_from_guessing() -> None:
    assert probe_skill.chance_p(many(90)).value < 0.001
    assert probe_skill.chance_p(many(50)).value > 0.4


def test_chance_p_of_patients_is_weaker_than_of_as_many_images() -> None:
    assert probe_skill.chance_p(many(58, groups=True)).value > 2 * probe_skill.chance_p(many(58)).value


def test_chance_p_is_calm_where_there_is_nothing() -> None:
    """Under the null hypothesis, p is below 0.05 about once in twenty times."""
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(200):
        answers = rng.integers(0, 2, 40)
        predictions = Predictions(
            tuple(map(str, range(40))), CLASSES, np.repeat([0, 1], 20), np.eye(2, dtype=np.float32)[answers]
        )
        alarms += probe_skill.chance_p(predictions, draws=200).value <= 0.05
    assert alarms <= 20


@dataclass
class Found:
    """A record whose probes all give the same predictions."""

    predictions: Predictions
    images: int = 0
    seen: Any = None

    def answers(self, _probe: probes.Probe) -> Predictions:
        """Return the given predictions."""
        return self.predictions

    def judged(self, predictions: Predictions) -> Predictions:
        """Return all predictions."""
        return predictions

    def in_units(self, predictions: Predictions) -> Predictions:
        """Return all predictions."""
        return predictions


@pytest.mark.parametrize(
    ("check", "ceiling"), [("border_probe", "border_probe_ceiling"), ("metadata_probe", "metadata_ceiling")]
)
def test_a_probe_is_refused_beyond_its_ceiling(check: str, ceiling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Youden's index of two classes with r of 100 correct is 2 r/100 - 1."""
    bound = getattr(AuditBounds(), ceiling)
    last = round(50 * (1 + bound))
    monkeypatch.setattr(probes, "rules", lambda _seen: [])
    monkeypatch.setattr(file_facts, "excess", lambda _seen: np.zeros((0, 2)))
    for right, accepted in ((last, True), (last + 1, False)):
        monkeypatch.setattr(probes, "cross_validated", lambda *_, r=right: many(r))
        found = Found(many(right))
        found.store, found.duplicates = None, duplicates()  # type: ignore[attr-defined]
        named = {"border_probe": probes.BORDER_PROBES[0]} if check == "border_probe" else {}
        verdict = judged(getattr(DATA, f"test_{check}"), found, **named)
        assert verdict.gates
        assert verdict.accepted("simple") == accepted


@pytest.mark.parametrize("check", ["images_in_two_splits", "images_in_two_classes"])
def test_one_image_is_too_many(check: str) -> None:
    named = {"two_splits": ("test", "train")} if "splits" in check else {}
    clean, leaky = record(), record(found=duplicates((0, 8, 0.99), (1, 2, 0.99)))
    assert judged(getattr(DATA, f"test_{check}"), clean, **named).outcome == "pass"
    assert judged(getattr(DATA, f"test_{check}"), leaky, **named).outcome == "fail"


def test_a_leak_within_its_ceiling_is_accepted() -> None:
    policy = SimpleNamespace(audit=AuditBounds(leakage_ceiling=0.25))
    leaky = record(found=duplicates((0, 8, 0.99)))
    verdict = judged(DATA.test_images_in_two_splits, leaky, policy=policy, two_splits=("test", "train"))
    assert verdict.outcome == "pass"


def test_one_patient_is_too_many() -> None:
    groups = tuple(f"p{row}" for row in range(N))
    shared = (*groups[:8], "p0", *groups[9:])
    for names, outcome in ((groups, "pass"), (shared, "fail")):
        verdict = judged(DATA.test_patients_in_two_splits, record(survey_of(groups=names)))
        assert verdict.outcome == outcome


def test_a_source_that_all_but_decides_the_class_is_refused() -> None:
    for sources, outcome in ((tuple("ns"[label] for label in LABELS), "fail"), (tuple("ns" * 6), "pass")):
        assert judged(DATA.test_source_confounding, record(survey_of(sources=sources))).outcome == outcome


def test_a_source_may_go_with_the_class_up_to_its_ceiling_and_no_further() -> None:
    sources = tuple("n" if row % 3 == 0 else "ns"[label] for row, label in enumerate(LABELS))
    found = record(survey_of(sources=sources))
    value = leakage.association(found).value
    assert 0.1 < value < 0.9
    for ceiling, accepted in ((value, True), (value - 1e-9, False)):
        policy = SimpleNamespace(audit=AuditBounds(association_ceiling=ceiling))
        assert judged(DATA.test_source_confounding, found, policy=policy).accepted("simple") is accepted


def probed(on_folds: dict[probes.Probe, int], on_test: dict[probes.Probe, int]) -> SimpleNamespace:
    """Return a record of probes that are right on so many of 100 images of each class.

    A probe that is not named is right on half of them.
    """
    return SimpleNamespace(
        allowed=probes.applicable(None),
        folds=lambda probe: many(on_folds.get(probe, 50)),
        answers=lambda probe: many(on_test.get(probe, 50)),
        judged=lambda predictions: predictions,
    )


def beats(
    found: SimpleNamespace | DataRecord, model: Predictions, *, whole: Literal["descriptive", "gates"] = "descriptive"
) -> dict[str, Verdict]:
    """Return the verdicts of ``beats_trivial_probes`` by subject."""
    verdicts: dict[str, Verdict] = {}

    def accept(verdict: Verdict, *, subject: str) -> None:
        verdicts[subject] = verdict

    policy, evidence = SimpleNamespace(audit=AuditBounds(whole_image_probe=whole)), SimpleNamespace(test=model)
    DATA.test_beats_trivial_probes(found, policy, evidence, accept)
    return verdicts


BORDER, WHOLE = probes.BORDER_PROBES[1], probes.WHOLE


def test_a_model_must_be_better_than_a_border() -> None:
    found = probed({BORDER: 80}, {BORDER: 80})
    for right, outcome, accepted in ((95, "pass", True), (81, "conditional_pass", True), (60, "fail", False)):
        verdict = beats(found, many(right))["border or background"]
        assert (verdict.outcome, verdict.accepted("simple")) == (outcome, accepted)
        assert (
            f"of the model 0.{right}, of the probe of 10 % border alone 0.80 on the same 200 images" in verdict.detail
        )
        assert "McNemar" in verdict.detail
        assert not {"before", "now"} & set(verdict.detail.split())


def test_a_model_that_does_exactly_as_well_as_a_border_is_not_better() -> None:
    verdict = beats(probed({BORDER: 80}, {BORDER: 80}), many(80))["border or background"]
    assert verdict.outcome == "conditional_fail"
    assert not verdict.accepted("simple")


def test_the_probe_is_chosen_on_the_folds_and_not_on_the_test_images() -> None:
    """Of two equal borders, the narrow one is lucky on the test images, and does not decide."""
    narrow = probes.BORDER_PROBES[0]
    found = probed({BORDER: 80, narrow: 75}, {BORDER: 80, narrow: 90})
    verdict = beats(found, many(85))["border or background"]
    assert verdict.accepted("simple")
    assert "of the probe of 10 % border alone 0.80" in verdict.detail
    chosen = beats(probed({BORDER: 75, narrow: 80}, {BORDER: 80, narrow: 90}), many(85))["border or background"]
    assert not chosen.accepted("simple")
    assert "of the probe of 5 % border alone 0.90" in chosen.detail


def test_probes_that_cannot_be_validated_are_taken_in_their_order() -> None:
    found = probed({}, {})
    found.folds = lambda probe: None if probe is not BORDER else many(50)
    assert probe_skill.chosen_probe(found, probes.WITHOUT_LUNGS) is BORDER  # type: ignore[arg-type]
    found.folds = lambda _probe: None
    assert probe_skill.chosen_probe(found, probes.WITH_LUNGS) is WHOLE  # type: ignore[arg-type]


def test_a_probe_of_the_whole_image_refuses_only_if_the_policy_says_so() -> None:
    found = probed({WHOLE: 90}, {WHOLE: 90})
    informed, gated = beats(found, many(70)), beats(found, many(70), whole="gates")
    assert informed["border or background"].outcome == "pass"
    assert informed["whole image"].outcome == "descriptive"
    assert "of the model 0.70, of the probe of whole image, 64x64 0.90" in informed["whole image"].detail
    assert gated["whole image"].outcome == "fail"
    assert beats(found, many(99), whole="gates")["whole image"].outcome == "pass"


def test_every_probe_of_pixels_sees_the_lungs_or_does_not() -> None:
    sorted_out = [*probes.WITHOUT_LUNGS, *probes.WITH_LUNGS]
    assert len(set(sorted_out)) == len(sorted_out)
    assert set(probes.PROBES) - set(sorted_out) == {probes.METADATA, probes.ANATOMY[0]}
    assert {probe.family for probe in probes.WITHOUT_LUNGS} == {"border", "outside"}


def test_a_model_that_reads_the_border_is_refused_and_one_that_reads_more_is_accepted(tmp_path: Path) -> None:
    """The border names the class of two images in three."""

    def marked(image: Image.Image, path: Path) -> None:
        pixels = np.asarray(image).copy()
        lies = int(path.stem) % 3 == 0
        pixels[:6], pixels[-6:] = (240,) * 2 if (path.parent.name == "B") is not lies else (10,) * 2
        Image.fromarray(pixels).save(path)

    images = planted.tree(tmp_path / "images", images=30, save=marked)
    made = DataRecord(planted.splits(images), Store(tmp_path / "store"))
    border = made.answers(probes.BORDER_PROBES[0])
    assert not beats(made, border)["border or background"].accepted("simple")
    right = altered(border, probabilities=np.eye(2, dtype=np.float32)[border.labels])
    assert beats(made, right)["border or background"].outcome == "pass"


@pytest.mark.parametrize(("images", "highest"), [(17, 0.80), (36, 0.90), (72, 0.95)])
def test_which_recall_floor_images_can_pass(images: int, highest: float) -> None:
    """With no miss, 0.80 passes from 17 images on, 0.90 from 36, 0.95 from 72."""
    seen = survey_of(
        ids=tuple(map(str, range(images + N))),
        paths=tuple(map(Path, map(str, range(images + N)))),
        split=np.concatenate([SPLIT, np.full(images, 2)]),
        labels=np.concatenate([np.where(SPLIT == 2, 1, LABELS), np.zeros(images, np.int64)]),
    )
    found = duplicates()
    vars(found)["clusters"] = np.arange(images + N)
    all_images = leakage.images_of(record(seen, found), "Covid", highest)
    assert (all_images.n, all_images.value >= highest) == (images, True)
    assert f"a recall floor of {highest:.2f} with at most 0 misses" in all_images.detail
    patients = replace(seen, groups=tuple(f"p{row // 4}" for row in range(images + N)))
    fewer = leakage.images_of(record(patients, found), "Covid", highest)
    assert fewer.n == len({(row + N) // 4 for row in range(images)})
    assert fewer.detail == (
        f"{fewer.n} patients can pass a recall floor of {highest:.2f} by no answers, and no floor above "
        f"{fewer.value:.2f}"
    )
    assert fewer.value < all_images.value
    lenient = leakage.images_of(record(patients, found), "Covid", 0.01)
    assert f"with at most {fewer.n - 2} patients missed in all images, and" in lenient.detail


def test_one_image_can_pass_next_to_no_floor() -> None:
    seen = survey_of(split=np.full(N, 2), labels=np.where(np.arange(N) == 0, 0, 1))
    found = duplicates()
    vars(found)["clusters"] = np.arange(N)
    alone = leakage.images_of(record(seen, found), "Covid", 0.80)
    assert alone.detail == "1 image can pass a recall floor of 0.80 by no answers, and no floor above 0.03"


def test_labels_that_were_changed_are_doubted(tmp_path: Path) -> None:
    pytest.importorskip("cleanlab", reason="the optional extra 'labels' is not installed")

    def bright(image: Image.Image, path: Path) -> None:
        wrong = path.stem == "007" and path.parts[-3] == "train"
        actual = {"A": "B", "B": "A"}[path.parent.name] if wrong else path.parent.name
        image.point(lambda grey: min(255, grey + 60) if actual == "B" else max(0, grey - 20)).save(path)

    made = DataRecord(
        planted.splits(planted.tree(tmp_path / "images", images=15, save=bright)), Store(tmp_path / "store")
    )
    doubted = probe_skill.label_issues(made)
    assert doubted is not None
    assert {"train/A/007.png", "train/B/007.png"} <= set(doubted[:4])
    assert len(doubted) < 12  # of 90


def test_without_cleanlab_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_skill, "find_spec", lambda _name: None)
    assert probe_skill.label_issues(record()) is None


def with_recalls(recalls: tuple[float, ...], *, each: int = 100) -> Predictions:
    """Return predictions of K classes with these recalls.

    A row that is not predicted correctly on purpose gets a random class other than the first.
    """
    k, rng = len(recalls), np.random.default_rng(0)
    labels = np.repeat(np.arange(k), each)
    answers = np.where(rng.random(k * each) < np.repeat(recalls, each), labels, rng.integers(1, k, k * each))
    names = tuple(f"r{row:04d}" for row in range(k * each))
    return Predictions(names, tuple("ABCDEF"[:k]), labels, np.eye(k, dtype=np.float32)[answers])


def test_one_predictable_class_of_many_is_enough() -> None:
    for k in (3, 6):
        answers = with_recalls((1.0, *(0.0 for _ in range(k - 1))))
        assert probe_skill.clearest(answers).low > 0.9
        assert metrics.adjusted_balanced_accuracy(answers).value < 0.6
        assert probe_skill.clearest(answers).detail.startswith("A told from the others")


def test_no_class_is_predicted_if_all_are_guessed() -> None:
    found = probe_skill.clearest(with_recalls((0.0, 0.0, 0.0)))
    assert -0.1 < found.value < 0.2
    assert found.high < 0.3


def test_the_clearest_class_is_undefined_without_rows() -> None:
    empty = Predictions((), CLASSES, np.zeros(0, np.int64), np.zeros((0, 2), np.float32))
    found = probe_skill.clearest(empty)
    assert (found.defined, found.low, found.high) == (False, -1.0, 1.0)


def test_a_hospital_of_one_class_is_enough() -> None:
    classes, labels = ("C", "N", "V"), np.tile([0, 1, 2], 4)
    sources = tuple("a" if label == 0 else "bc"[row % 2] for row, label in enumerate(labels))
    assert leakage.association(record(survey_of(classes=classes, labels=labels, sources=sources))).value == 1


def test_rows_with_a_near_duplicate_in_validation_judge_no_probe() -> None:
    made = record(found=duplicates((4, 9, 0.99)))
    answers = answered(np.ones(4, np.bool_))
    assert made.judged(answers).ids == (answers.ids[0], *answers.ids[2:])
    assert made.unseen(answers) is answers


def test_an_unreadable_test_image_judges_no_probe(tmp_path: Path) -> None:
    images = planted.tree(tmp_path / "images", images=6)
    broken = images / "test" / "A" / "000.png"
    broken.write_bytes(broken.read_bytes()[:300])
    made = DataRecord(planted.splits(images), Store(tmp_path / "store"))
    for probe in made.allowed:
        answers = made.answers(probe)
        assert answers.probabilities[0].tolist() == [0.5, 0.5]
        assert made.judged(answers).ids == answers.ids[1:]


def test_images_of_one_patient_cannot_be_validated(tmp_path: Path) -> None:
    made = DataRecord(planted.splits(planted.tree(tmp_path / "images", images=4)), Store(tmp_path / "store"))
    groups = tuple("p" if label else name for name, label in zip(made.seen.ids, made.seen.labels, strict=True))
    vars(made)["seen"] = replace(made.seen, groups=groups)
    found = probe_skill.metadata_skill(made)
    assert not found.defined
    assert "two patients" in found.detail


def test_twelve_bits_in_sixteen_are_searched_like_any_image(tmp_path: Path) -> None:
    def deep(image: Image.Image, path: Path) -> None:
        Image.fromarray(np.asarray(image).astype(np.uint16) * 4).save(path)

    images = planted.tree(tmp_path / "images", images=6, save=deep)
    original = np.asarray(Image.open(images / "test/A/001.png"))
    smaller = original.reshape(48, 2, 48, 2).mean(axis=(1, 3)).astype(np.uint16)
    Image.fromarray(smaller).save(images / "train/A/smaller.png")
    made = DataRecord(planted.splits(images), Store(tmp_path / "store"))
    assert leakage.images_shared(made, "test", "train").hits == 1
    assert not any("bl" in reason for reason in leakage.odd_reasons(made).values())  # neither blank nor black


def test_masks_of_ones_are_masks(tmp_path: Path) -> None:
    for name, value in (("ones.png", 1), ("full.png", 255)):
        mask = np.zeros((64, 64), np.uint8)
        mask[:, :32] = value
        Image.fromarray(mask).save(tmp_path / name)
    ones, full = probes._lungs([tmp_path / "ones.png", tmp_path / "full.png"])
    np.testing.assert_array_equal(ones, full)
    assert ones.max() == 1
