"""Claims files are read as printed, and their suite runs only with ``--claims``."""

import doctest
import json
import shutil
from fractions import Fraction
from pathlib import Path

import pytest

from roentgate.checks import claims as module
from roentgate.checks.claims import Claims, printed, read_claims
from roentgate.errors import DataError
from roentgate.scorecard import Row
from tests.support.toy import NEAREST, Project, Result

pytest_plugins = ["tests.support.toy"]

ROOT = Path(__file__).resolve().parents[2]
COUNTS = "[counts]\nCovid = 26\nNormal = 20\n"


def read(folder: Path, text: str) -> Claims:
    path = folder / "claims.toml"
    path.write_text(text, "utf-8")
    return read_claims(path)


# Numbers


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("0.9", "0.85", "0.95"),
        ("0.90", "0.895", "0.905"),
        ("88 %", "0.875", "0.885"),
        ("88.0%", "0.8795", "0.8805"),
        (".5", "0.45", "0.55"),
        ("1", "0.5", "1"),
        ("0", "0", "0.5"),
        ("100 %", "0.995", "1"),
    ],
)
def test_a_printed_number_is_all_that_is_rounded_to_it(text: str, low: str, high: str) -> None:
    assert printed(text) == (Fraction(low), Fraction(high))


def test_the_examples_of_the_module_are_true() -> None:
    assert doctest.testmod(module).failed == 0


def test_a_loss_is_no_share() -> None:
    assert printed("1.43", share=False, percent=True) == (Fraction("1.425"), Fraction("1.435"))


@pytest.mark.parametrize(
    "text", ["", ".", "0,85", "-0.1", "1e-3", "nan", "inf", "about 0.9", "0.1234567891", "0.9 % %"]
)
def test_what_is_not_a_printed_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        printed(text)


def test_figures_keep_their_zeros_and_their_order(tmp_path: Path) -> None:
    text = COUNTS + '[[claim]]\nplace = "text"\naccuracy = 0.90\n[claim.confusion]\n"Covid -> Normal" = "12 %"\n'
    text += '[[claim]]\nplace = "table"\npercent = true\nmacro_recall = 84.5\nrecall = {Normal = 85}\nloss = 0.430\n'
    claims = read(tmp_path, text)
    assert [(each.place, each.name, each.text) for each in claims.figures] == [
        ("text", "accuracy", "0.90"),
        ("text", "Covid predicted as Normal", "12 %"),
        ("table", "balanced accuracy", "84.5 %"),
        ("table", "loss", "0.430"),
        ("table", "recall of Normal", "85 %"),
    ]
    assert claims.figures[0].low == Fraction("0.895")
    assert claims.figures[2].high == Fraction("0.8455")
    assert claims.figures[3].high == Fraction("0.4305")
    assert claims.places == ("text", "table")


def test_a_confusion_of_a_class_with_itself_is_a_recall(tmp_path: Path) -> None:
    text = COUNTS + '[[claim]]\nplace = "matrix"\nconfusion = {"Covid -> Covid" = "88 %"}\n'
    assert read(tmp_path, text).figures[0].key == ("recall", "Covid", "")


def test_the_shipped_file_is_that_of_the_article() -> None:
    claims = read_claims(ROOT / "data" / "claims" / "article.toml")
    assert claims.counts == {"Covid": 26, "Normal": 20, "Viral Pneumonia": 20}
    assert len(claims.figures) == 12
    assert claims.data == "covid19"


# Faults

ONE = '[[claim]]\nplace = "text"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (COUNTS + ONE + "acuracy = 0.9\n", "unknown key 'claim.1.acuracy'; did you mean 'accuracy'"),
        (COUNTS.replace("counts", "count") + ONE + "loss = 1\n", "unknown key 'count'; did you mean 'counts'?"),
        (COUNTS + ONE + "recall = {Covit = 0.9}\n", "recall: class 'Covit' is not in [counts]; did you mean 'Covid'?"),
        (COUNTS + ONE + 'confusion = {"Covid > Normal" = 0.1}\n', "did you mean 'Covid -> Normal'"),
        (
            COUNTS + ONE + "accuracy = 85\n",
            "place 'text', accuracy: '85' must be a share from 0 to 1; of per cent, write",
        ),
        (COUNTS + ONE + 'accuracy = "0,85"\n', "with a decimal point"),
        (COUNTS + ONE + 'loss = "43 %"\n', "place 'text', loss: '43 %' must be without a per cent sign"),
        (COUNTS + ONE + "accuracy = true\n", "claim.1.accuracy: must be a number as it is printed"),
        (COUNTS + ONE + "accuracy = [0.9]\n", "claim.1.accuracy: must be a number as it is printed"),
        (COUNTS + ONE, "place 'text' has no figure"),
        (COUNTS + ONE + "loss = 1\n" + ONE + "loss = 1\n", "place 'text' is taken"),
        (
            COUNTS + ONE.replace("text", "all places together") + "loss = 1\n",
            "is taken; give each place a name of its own",
        ),
        (COUNTS, "claim: Field required"),
        (ONE + "loss = 1\n", "counts: Field required"),
        (COUNTS.replace("26", "0") + ONE + "loss = 1\n", "counts.Covid: must be greater than or equal to 1"),
        (COUNTS.replace("26", "26.0") + ONE + "loss = 1\n", "counts.Covid: must be a valid integer"),
        ("[counts", "cannot be read as TOML"),
    ],
)
def test_a_fault_in_the_file_is_a_sentence_with_its_remedy(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, text)
    assert message in str(caught.value)
    assert "claims.toml" in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no-such\.toml': no such file; start from data/claims/article\.toml"):
        read_claims(tmp_path / "no-such.toml")


def test_claims_about_other_rows_are_refused(tmp_path: Path) -> None:
    claims = read(tmp_path, COUNTS + ONE + "loss = 1\n")
    claims.check_rows({"Normal": 20, "Covid": 26}, "test")
    with pytest.raises(DataError, match="are about 26 Covid, 20 Normal, but test has 20 Covid, 20 Normal"):
        claims.check_rows({"Covid": 20, "Normal": 20}, "test")
    with pytest.raises(DataError, match="the classes of data 'x' are A, B"):
        claims.check_classes(("B", "A"), "data 'x'")


# The suite

PUBLISHED = """
data = "toy"

[counts]
Bottom = 12
Left = 12
Right = 12

[[claim]]
place = "abstract"
accuracy = 1.00
loss = 0.00

[[claim]]
place = "table"
auc = "1.00"
recall = {Bottom = 1.00, Left = "100 %", Right = 1.0}
"""
IDS = ["claims_consistent", "claim_reproduced"]


@pytest.fixture
def published(project: Project) -> Project:
    """A project with the claims suite, true claims and a worse model."""
    shutil.copy(ROOT / "suites" / "test_claims.py", project.folder / "suites")
    policy = project.folder / "suites" / "policy.toml"
    text = policy.read_text("utf-8").replace("small =", f"claims = {json.dumps(IDS)}\nsmall =", 1)
    project.write("suites/policy.toml", text + "\n[claims]\ntolerance = 0.10\n")
    project.write("claims.toml", PUBLISHED)
    worse = 'return Nearest(archive["means"] - (np.arange(3) == 1)[:, None, None])'
    project.write("models/worse.py", NEAREST.replace('return Nearest(archive["means"])', worse))
    return project


def claim_rows(result: Result, model: str = "nearest") -> list[Row]:
    return [row for row in result.record(model)["rows"] if row["suite"] == "claims"]


def test_without_claims_the_suite_is_no_part_of_a_run(published: Project) -> None:
    result = published.run()
    assert result.status == 0, result.out
    assert claim_rows(result) == []
    assert result.record()["complete"]


@pytest.mark.parametrize("named", ["suites/test_claims.py", "suites/test_claims.py::test_claims_consistent"])
def test_naming_the_suite_without_claims_is_a_usage_error(published: Project, named: str) -> None:
    result = published.run(named)
    assert result.status == 4
    assert f"'{named}' holds published figures: pass --claims FILE.toml" in result.out


def test_claims_that_hold_and_reproduce_are_accepted(published: Project) -> None:
    result = published.run("--claims", "claims.toml")
    assert result.status == 0, result.out
    rows = claim_rows(result)
    assert [(row["check"], row["subject"]) for row in rows] == [
        ("claims_consistent", "abstract"),
        ("claims_consistent", "table"),
        ("claims_consistent", "all places together"),
        ("claim_reproduced", "abstract: accuracy"),
        ("claim_reproduced", "abstract: loss"),
        ("claim_reproduced", "table: macro AUC"),
        ("claim_reproduced", "table: recall of Bottom"),
        ("claim_reproduced", "table: recall of Left"),
        ("claim_reproduced", "table: recall of Right"),
    ]
    assert {row["outcome"] for row in rows[:3]} == {"pass"}
    assert rows[0]["detail"] == "36 of 36 right"
    notes = (result.reports / "toy" / "nearest" / "scorecard.md").read_text("utf-8")
    assert "published figures of claims.toml (fingerprint " in notes


def test_claims_that_exclude_one_another_refuse_whatever_the_gate(published: Project) -> None:
    text = PUBLISHED.replace("recall = {Bottom = 1.00", "recall = {Bottom = 0.50")
    published.write("claims.toml", text)
    result = published.run("--claims", "claims.toml")
    assert result.status == 1
    rows = {row["subject"]: row for row in claim_rows(result)}
    assert rows["abstract"]["accepted"]
    assert not rows["all places together"]["accepted"]
    assert "accuracy 1.00 (abstract) and recall of Bottom 0.50 (table) exclude one another" in result.out
    assert rows["table: recall of Bottom"]["outcome"] == "fail"


def test_a_model_that_is_not_the_published_one_is_refused(published: Project) -> None:
    result = published.run("--model", "worse", "--claims", "claims.toml")
    assert result.status == 1
    refused = {row["subject"] for row in claim_rows(result, "worse") if not row["accepted"]}
    assert {"abstract: accuracy", "table: recall of Left"} <= refused
    assert "table: recall of Right" not in refused
    assert claim_rows(result, "worse")[0]["accepted"]  # the arithmetic does not depend on the model


def test_a_run_with_claims_and_without_their_rows_refuses(published: Project) -> None:
    (published.folder / "suites" / "test_claims.py").unlink()
    policy = published.folder / "suites" / "policy.toml"
    lines = [line for line in policy.read_text("utf-8").splitlines() if not line.startswith("claims =")]
    policy.write_text("\n".join(lines), "utf-8")
    result = published.run("--claims", "claims.toml")
    assert result.status == 1
    assert "required, but not recorded: claims/claims_consistent" in result.out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("Bottom = 12", "Bottom = 11"),
            "are about 11 Bottom, 12 Left, 12 Right, but test of data 'toy' has 12 Bottom",
        ),
        (("Bottom", "Top"), "but the classes of data 'toy' are Bottom, Left, Right"),
        (("accuracy", "acuracy"), "unknown key 'claim.1.acuracy'; did you mean 'accuracy'"),
    ],
)
def test_a_fault_in_the_claims_is_a_usage_error(published: Project, change: tuple[str, str], message: str) -> None:
    published.write("claims.toml", PUBLISHED.replace(*change))
    result = published.run("--claims", "claims.toml")
    assert result.status == 4, result.out
    assert message in result.out
    assert "Traceback" not in result.out


def test_workers_give_the_same_record(published: Project) -> None:
    given = ("--claims", "claims.toml", "--no-figures")
    alone = published.run_apart(*given, reports="alone").bytes()
    assert published.run_apart(*given, "-n", "2", reports="shared").bytes() == alone
