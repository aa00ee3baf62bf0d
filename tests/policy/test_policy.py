"""Tests of the policy file.

Every key is checked, a key that is left out has a default, and one data set overrides the rest.
"""

from pathlib import Path
from typing import Any

import pytest

from roentgate.errors import PolicyError
from roentgate.policy.bounds import Table
from roentgate.policy.policy import CORE, Policy, load_policy
from roentgate.policy.required import CHECKS

ROOT = Path(__file__).resolve().parents[2]
CLASSES = ("Covid", "Normal", "Viral Pneumonia")


def policy(folder: Path, text: str, data: str = "phantom", classes: tuple[str, ...] = CLASSES) -> Policy:
    """Return the policy with this text."""
    path = folder / "policy.toml"
    path.write_text(text, "utf-8")
    return load_policy(path, data=data, classes=classes)


def test_the_repositorys_policy_states_the_defaults(tmp_path: Path) -> None:
    """The shipped policy states the defaults.

    It is the file that people review, and a key that is left out of a policy keeps its default.
    """
    stated = load_policy(ROOT / "suites" / "policy.toml", data="phantom", classes=CLASSES)
    default = policy(tmp_path, "")
    for name in set(CORE) - {"gate"}:
        assert getattr(stated, name) == getattr(default, name)


def test_an_empty_policy_has_every_table(tmp_path: Path) -> None:
    bounds = policy(tmp_path, "")
    assert bounds.recall.floor("Covid") == 0.80
    assert bounds.recall.ceiling("Covid", "Normal") == 0.20
    assert bounds.recall.macro_auroc_floor == 0.90
    assert bounds.border.borders == [0.05]
    assert {suite for suite, _ in bounds.gate.pairs} == {"alignment", "inference", "recall", "border"}
    for suite, check in bounds.gate.pairs:
        assert f"def test_{check}(" in (ROOT / "suites" / f"test_{suite}.py").read_text("utf-8")
    assert len(set(bounds.gate.pairs)) == len(bounds.gate.pairs)
    assert ("border", "border_swap") in bounds.gate.pairs


@pytest.mark.parametrize("text", ["[gate]\nrequired = {}\n", "[gate.required]\nrecall = []\n"])
def test_a_policy_that_requires_nothing_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(PolicyError, match="'required' names no check, so nothing would be"):
        policy(tmp_path, text)


def test_all_stands_for_the_checks_of_a_suite(tmp_path: Path) -> None:
    text = '[gate.required]\nborder = "all"\nmine = ["own"]\nledger = ["test_set_evaluations"]\n'
    gate = policy(tmp_path, text).gate
    assert gate.required["border"] == list(CHECKS["border"])
    assert gate.pairs[-2:] == (("mine", "own"), ("ledger", "test_set_evaluations"))
    listed = text.replace('"all"', str(list(CHECKS["border"])))
    assert policy(tmp_path, listed).fingerprint == policy(tmp_path, text).fingerprint


def test_the_shipped_policy_requires_every_listed_check() -> None:
    shipped = load_policy(ROOT / "suites" / "policy.toml", data="mine", classes=CLASSES)
    assert set(shipped.gate.pairs) == {(suite, check) for suite, checks in CHECKS.items() for check in checks}
    for suite, check in shipped.gate.pairs:
        assert f"def test_{check}(" in (ROOT / "suites" / f"test_{suite}.py").read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('mine = "all"', """'mine' is no suite of Roentgate's, so "all" of its checks are not known; list them, or"""),
        ('bordr = "all"', "did you mean 'border'"),
        ('border = "some"', "gate.required.border|required.border"),
        ("border = true", "gate.required.border|required.border"),
    ],
)
def test_a_suite_whose_checks_are_not_known_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(PolicyError, match=fault):
        policy(tmp_path, f"[gate.required]\n{text}\n")


def test_single_classes_and_pairs_have_bounds_of_their_own(tmp_path: Path) -> None:
    text = '[recall]\nfloors = {Covid = 0.95}\nceilings = {"Covid -> Normal" = 0.05}\n'
    recall = policy(tmp_path, text).recall
    assert (recall.floor("Covid"), recall.floor("Normal")) == (0.95, 0.80)
    assert (recall.ceiling("Covid", "Normal"), recall.ceiling("Normal", "Covid")) == (0.05, 0.20)


def test_a_disease_predicted_as_normal_is_the_costly_confusion() -> None:
    shipped = load_policy(ROOT / "suites" / "policy.toml", data="phantom", classes=CLASSES).recall
    assert shipped.pairs(CLASSES) == [("Covid", "Normal"), ("Viral Pneumonia", "Normal")]
    assert shipped.is_costly("Covid", "Normal")
    assert not shipped.is_costly("Normal", "Covid")
    assert not shipped.is_costly("Covid", "Viral Pneumonia")


def test_the_card_names_the_normal_class_or_its_name_does(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text("", "utf-8")

    def costly(*classes: str, normal: str | None = None) -> list[tuple[str, str]]:
        return load_policy(path, data="mine", classes=classes, normal=normal).recall.pairs(classes)

    for name in ("Normal", "normal", "HEALTHY", "Negative", "No Finding", "no_finding", "No-Findings"):
        assert costly("Ill", name) == [("Ill", name)]
    assert costly("Ill", "Well", normal="Well") == [("Ill", "Well")]
    assert costly("Abnormal", "Ill") == [("Abnormal", "Ill"), ("Ill", "Abnormal")]
    assert len(costly("Healthy", "Ill", "Normal")) == 6  # which of the two is not known, so all pairs gate
    assert len(costly("Healthy", "Ill", "Normal", normal="Healthy")) == 2
    with pytest.raises(PolicyError, match="the data card's 'normal' names 'Wel', which this data set does not have"):
        costly("Ill", "Well", normal="Wel")


def test_the_policy_may_name_all_pairs_or_some(tmp_path: Path) -> None:
    assert len(policy(tmp_path, '[recall]\ncostly = "all"\n').recall.pairs(CLASSES)) == 6
    named = policy(tmp_path, '[recall]\ncostly = ["Covid -> Normal"]\n').recall.pairs(CLASSES)
    assert named == [("Covid", "Normal")]


def test_a_data_set_overrides_key_by_key_and_leaves_the_others_alone(tmp_path: Path) -> None:
    text = """
    [recall]
    recall_floor = 0.7
    floors = {Covid = 0.9, Normal = 0.85}
    [data.covid19.recall]
    macro_auroc_floor = 0.8
    floors = {Covid = 0.6}
    [data.covid19.border]
    borders = [0.1]
    """
    here, elsewhere = policy(tmp_path, text, data="covid19"), policy(tmp_path, text)
    assert here.recall.macro_auroc_floor == 0.8
    assert here.recall.recall_floor == 0.7
    assert here.recall.floors == {"Covid": 0.6, "Normal": 0.85}
    assert here.border.borders == [0.1]
    assert elsewhere.recall.macro_auroc_floor == 0.90
    assert elsewhere.recall.floors == {"Covid": 0.9, "Normal": 0.85}
    assert elsewhere.border.borders == [0.05]


def test_the_fingerprint_is_of_the_bounds_in_force_and_of_nothing_else(tmp_path: Path) -> None:
    plain = policy(tmp_path, "").fingerprint
    assert policy(tmp_path, "# said again\n[recall]\nrecall_floor = 0.80\n").fingerprint == plain
    assert policy(tmp_path, "[data.other.recall]\nrecall_floor = 0.5\n").fingerprint == plain
    assert policy(tmp_path, "[recall]\nrecall_floor = 0.81\n").fingerprint != plain


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("recall =\n", "not readable as TOML"),
        ("recall = 3\n", r"table \[recall\]: must be a table, not int"),
        ("data = 3\n", r"\[data\] holds one table a data set"),
        ("[data]\ncovid19 = 3\n", r"\[data\] holds one table a data set"),
        ("[recall]\nrecall_flor = 0.8\n", "unknown key 'recall_flor'; did you mean 'recall_floor'"),
        ("[recall]\nxyz = 0.8\n", "unknown key 'xyz'; known: ceilings, "),
        ("[recall]\nrecall_floor = 1.8\n", "recall_floor: must be less than or equal to 1"),
        ('[recall]\nrecall_floor = "0.8"\n', "recall_floor: must be a valid number"),
        ("[recall]\nrecall_floor = nan\n", "recall_floor: "),
        ("[recall.floors]\nCovit = 0.8\n", "recall.floors names 'Covit', .* did you mean 'Covid'?"),
        ("[recall.floors]\nTuberculosis = 0.8\n", "the data set has: Covid, Normal, Viral Pneumonia"),
        ('[recall]\ncostly = ["Covid -> Covid"]\n', "recall.costly names 'Covid -> Covid'"),
        ('[recall.ceilings]\n"Covid > Normal" = 0.1\n', "did you mean 'Covid -> Normal'?"),
        ("[recall]\ncostly = []\n", "costly.* is empty, so nothing would be tested"),
        ("[border]\nborders = []\n", "'borders' is empty, so nothing would be tested"),
        ("[border]\ninfills = []\n", "'infills' is empty"),
        ('[border]\ninfills = ["grey"]\n', "infills.0: must be 'black', "),
        ("[border]\nborders = [0.5]\n", "borders.0: must be less than 0.5"),
        ("[inference]\ntolerance = 0.0\n", "tolerance: must be greater than 0"),
        ('[gate]\nnever_skip = ["masks"]\n', "'never_skip' names 'masks', which is not required"),
        ("[data.covid19.recal]\nx = 1\n", r"\[data.covid19.recal\] is unknown; did you mean 'recall'"),
        ("[data.covid19.recall]\nrecall_flor = 1\n", r"\[data.covid19.recall\]: unknown key 'recall_flor'"),
    ],
)
def test_a_fault_is_a_sentence_that_names_it(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(PolicyError, match=sentence):
        policy(tmp_path, text)


def test_a_missing_policy_says_what_to_start_from(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="no such file; pass --policy FILE, or start from suites/policy"):
        load_policy(tmp_path / "policy.toml", data="phantom", classes=CLASSES)


def test_a_policy_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(PolicyError, match="not readable as TOML"):
        load_policy(tmp_path / "policy.toml", data="phantom", classes=CLASSES)


def test_classes_of_another_data_set_are_not_checked_against_this_one(tmp_path: Path) -> None:
    bounds = policy(tmp_path, "[data.tb.recall]\nfloors = {Tuberculosis = 0.9}\n")
    assert bounds.recall.floors == {}


def test_a_suite_of_ones_own_types_its_table(tmp_path: Path) -> None:
    class Bounds(Table):
        drift_ceiling: float = 0.1

    bounds = policy(tmp_path, "[drift]\ndrift_ceiling = 0.2\n")
    with pytest.raises(AttributeError, match="the policy has no table 'drift'"):
        assert bounds.drift
    bounds.add("drift", Bounds)
    assert bounds.drift.drift_ceiling == 0.2
    bounds.check_owned([])
    with pytest.raises(PolicyError, match="unknown key 'drift_celing'; did you mean 'drift_ceiling'"):
        policy(tmp_path, "[drift]\ndrift_celing = 0.2\n").add("drift", Bounds)


def test_a_table_that_no_suite_owns_is_refused(tmp_path: Path) -> None:
    bounds = policy(tmp_path, "[bordr]\nborders = [0.1]\n")
    with pytest.raises(PolicyError, match=r"no suite owns the table \[bordr\]; did you mean 'border'"):
        bounds.check_owned([])
    bounds.check_owned(["bordr"])


def test_a_bound_in_force_cannot_be_changed(tmp_path: Path) -> None:
    recall: Any = policy(tmp_path, "").recall
    with pytest.raises(ValueError, match="frozen"):
        recall.recall_floor = 0.1


def test_bounds_of_a_mistyped_data_set_are_refused_and_those_of_an_unknown_one_are_not(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text("[data.phantm.recall]\nrecall_floor = 0.9\n", "utf-8")
    with pytest.raises(PolicyError, match=r"\[data.phantm\]: no such data set; did you mean 'phantom'"):
        load_policy(path, data="own", classes=("A", "B"), known=["phantom", "covid19"])
    path.write_text("[data.elsewhere.recall]\nrecall_floor = 0.9\n", "utf-8")
    assert load_policy(path, data="own", classes=("A", "B"), known=["phantom"]).recall.recall_floor == 0.80
