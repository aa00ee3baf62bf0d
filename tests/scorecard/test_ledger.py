"""Tests of the ledger of test-set evaluations.

Every evaluation is one line, even if several runs write at once. Damaged lines are reported and do not affect others.
"""

import json
import multiprocessing
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roentgate.errors import ArgumentError
from roentgate.scorecard import ledger
from roentgate.scorecard.ledger import Evaluation

HOSTILE = 'a\nb\u2028\x00\ud800 é 肺 "}'


def evaluation(fingerprint: str = "aa", **changes: object) -> Evaluation:
    made: dict[str, object] = {
        "time": "2026-01-02T03:04:05Z",
        "images": "f1",
        "model": "baseline",
        "fingerprint": fingerprint,
        "seed": 0,
        "n": 100,
        "right": 80,
        "recalls": {"Covid": (40, 50), "Normal": (40, 50)},
        "accepted": True,
        "complete": True,
    }
    made.update(changes)
    return Evaluation(**made)  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "reports" / "phantom" / "ledger.jsonl"


# One line per evaluation


def test_no_ledger_is_an_empty_one(path: Path) -> None:
    found = ledger.read(path)
    assert (found.evaluations, found.damaged) == ((), ())
    assert ledger.size(path) == 0
    assert not path.parent.exists()


def test_evaluations_are_read_as_they_were_written_in_order(path: Path) -> None:
    evaluations = [evaluation("aa"), evaluation("bb", right=None, recalls={}, complete=False, accepted=False)]
    ledger.append(path, evaluations[:1])
    first = path.read_bytes()
    ledger.append(path, evaluations[1:])
    assert path.read_bytes().startswith(first)
    assert [ledger.plain(each) for each in ledger.read(path).evaluations] == [
        ledger.plain(each) for each in evaluations
    ]
    assert [each.line for each in ledger.read(path).evaluations] == [1, 2]


def test_a_line_is_json_that_names_its_schema(path: Path) -> None:
    ledger.append(path, [evaluation()])
    (line,) = path.read_text("ascii").splitlines()
    assert json.loads(line) == {
        "schema": "roentgate.evaluation/2",
        "time": "2026-01-02T03:04:05Z",
        "images": "f1",
        "model": "baseline",
        "fingerprint": "aa",
        "seed": 0,
        "n": 100,
        "right": 80,
        "recalls": {"Covid": [40, 50], "Normal": [40, 50]},
        "accepted": True,
        "complete": True,
    }


def test_a_line_of_the_first_schema_is_still_read() -> None:
    line = json.loads(ledger.line_of(evaluation()))
    line["films"] = line.pop("images")
    assert ledger.parse(json.dumps(line | {"schema": "roentgate.look/1"}).encode()) == evaluation()


def test_no_evaluations_are_nothing_written(path: Path) -> None:
    ledger.append(path, [])
    assert not path.parent.exists()


@given(st.text(st.characters()))
def test_no_name_breaks_a_line(name: str) -> None:
    line = ledger.line_of(evaluation(model=name, recalls={name: (1, 2)}))
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert ledger.parse(line) == evaluation(model=name, recalls={name: (1, 2)})


def test_a_hostile_name_comes_back_whole(path: Path) -> None:
    ledger.append(path, [evaluation(model=HOSTILE)])
    assert [each.model for each in ledger.read(path).evaluations] == [HOSTILE]


# Who else writes


def _write(path: Path, writer: int) -> None:
    for number in range(20):
        ledger.append(path, [evaluation(f"{writer}-{number}", model="m" * 3000), evaluation(f"{writer}-{number}-b")])


def test_appends_at_once_lose_and_mix_nothing(path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write, args=(path, writer)) for writer in range(4)]
    for each in writers:
        each.start()
    for each in writers:
        each.join(60)
    assert [each.exitcode for each in writers] == [0] * 4
    found = ledger.read(path)
    assert found.damaged == ()
    names = [each.fingerprint for each in found.evaluations]
    assert sorted(names) == sorted(f"{w}-{n}{end}" for w in range(4) for n in range(20) for end in ("", "-b"))
    assert all(names[names.index(f"{w}-{n}") + 1] == f"{w}-{n}-b" for w in range(4) for n in range(20))


def test_a_killed_writers_half_line_does_not_swallow_the_next(path: Path) -> None:
    ledger.append(path, [evaluation("aa")])
    with path.open("ab") as file:
        file.write(ledger.line_of(evaluation("bb"))[:-20])
    torn = path.read_bytes()
    ledger.append(path, [evaluation("cc")])
    assert path.read_bytes().startswith(torn + b"\n")
    found = ledger.read(path)
    assert [each.fingerprint for each in found.evaluations] == ["aa", "cc"]
    assert found.damaged == (2,)


def test_only_what_was_there_at_the_start_of_a_run_is_read(path: Path) -> None:
    ledger.append(path, [evaluation("aa")])
    before = ledger.size(path)
    ledger.append(path, [evaluation("bb")])
    assert [each.fingerprint for each in ledger.read(path, upto=before).evaluations] == ["aa"]


# What is damaged

DAMAGE = [
    b"{",
    b"\xff\xfe\x00",
    b"null",
    b"[]",
    b"{}",
    b'"' + b"x" * 100_000 + b'"',
    b"[" * 50_000,
    b'{"n": ' + b"9" * 5000 + b"}",
    b"<<<<<<< HEAD",
]


@pytest.mark.parametrize("damage", DAMAGE, ids=range(len(DAMAGE)))
def test_a_damaged_line_is_named_and_costs_no_other(path: Path, damage: bytes) -> None:
    ledger.append(path, [evaluation("aa")])
    with path.open("ab") as file:
        file.write(damage + b"\n\n")
    ledger.append(path, [evaluation("bb")])
    whole = path.read_bytes()
    found = ledger.read(path)
    assert [each.fingerprint for each in found.evaluations] == ["aa", "bb"]
    assert [each.line for each in found.evaluations] == [1, 4]
    assert found.damaged == (2,)
    assert path.read_bytes() == whole
    assert "line 2 of" in ledger.damage_words(found)
    assert "1 line is" in ledger.damage_words(found)


@pytest.mark.parametrize(
    "changes",
    [
        {"n": -1},
        {"n": True},
        {"n": 100.0},
        {"right": 101},
        {"right": -1},
        {"right": True},
        {"seed": "0"},
        {"accepted": 1},
        {"recalls": {"Covid": [51, 50]}},
        {"recalls": {"Covid": [1]}},
        {"recalls": []},
        {"fingerprint": ""},
        {"images": ""},
        {"model": None},
        {"schema": "roentgate.evaluation/3"},
        {"more": 1},
        {"time": "yesterday"},
    ],
    ids=str,
)
def test_a_line_that_cannot_be_true_is_damaged(changes: dict[str, object]) -> None:
    whole = json.loads(ledger.line_of(evaluation()))
    assert ledger.parse(json.dumps(whole).encode()) == evaluation()
    assert ledger.parse(json.dumps(whole | changes).encode()) is None
    for key in whole:
        assert ledger.parse(json.dumps({name: whole[name] for name in whole if name != key}).encode()) is None


def test_sound_lines_say_nothing_of_damage(path: Path) -> None:
    ledger.append(path, [evaluation()])
    assert ledger.damage_words(ledger.read(path)) == ""


def test_many_damaged_lines_are_named_in_a_short_sentence(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x\n" * 500)
    assert "lines 1, 2, 3, 4, 5 and 495 more of" in ledger.damage_words(ledger.read(path))


# What is no ledger


def test_a_folder_in_its_place_is_a_sentence(path: Path) -> None:
    path.mkdir(parents=True)
    for call in (ledger.read, ledger.size, ledger.check_writable, lambda where: ledger.append(where, [evaluation()])):
        with pytest.raises(ArgumentError, match=r"ledger '.*ledger.jsonl': is no file; move it away"):
            call(path)


def test_a_pipe_in_its_place_is_a_sentence_and_no_wait(path: Path) -> None:
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    with pytest.raises(ArgumentError, match="is no file"):
        ledger.read(path)


def test_a_file_too_large_for_a_ledger_is_refused(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        file.truncate(ledger.LARGEST + 1)
    with pytest.raises(ArgumentError, match=r"64 MiB, more than any ledger"):
        ledger.read(path)


def test_a_file_of_nothing_but_damage_is_refused(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x\n" * (ledger.MOST_DAMAGED + 1))
    with pytest.raises(ArgumentError, match="is no ledger"):
        ledger.read(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("where", ["folder", "file"])
def test_what_cannot_be_written_to_is_a_sentence(path: Path, where: str) -> None:
    ledger.append(path, [evaluation()])
    (path if where == "file" else path.parent).chmod(0o555)
    try:
        with pytest.raises(ArgumentError, match=r"cannot be written to .*--report-dir"):
            ledger.append(path, [evaluation("bb")])
    finally:
        path.parent.chmod(0o755)


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("", "utf-8")
    for call in (ledger.check_writable, lambda where: ledger.append(where, [evaluation()])):
        with pytest.raises(ArgumentError, match=r"cannot be written to .*--report-dir"):
            call(tmp_path / "reports" / "phantom" / "ledger.jsonl")


def test_a_full_disk_is_a_sentence(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", lambda _handle, data: len(data) // 2)
    with pytest.raises(ArgumentError, match="cannot be written to"):
        ledger.append(path, [evaluation()])


# In which order


def test_models_are_counted_once_in_the_order_of_their_first_evaluation(path: Path) -> None:
    ledger.append(
        path,
        [
            evaluation("aa"),
            evaluation("bb"),
            evaluation("aa"),
            evaluation("cc"),
            evaluation("bb"),
            evaluation("dd", images="f2"),
        ],
    )
    found = ledger.read(path)
    assert [each.fingerprint for each in ledger.firsts(found, "f1")] == ["aa", "bb", "cc"]
    numbers = {
        name: len(ledger.earlier(found, images="f1", fingerprint=name).evaluations)
        for name in ("aa", "bb", "cc", "new")
    }
    assert numbers == {"aa": 0, "bb": 1, "cc": 2, "new": 3}
    assert ledger.earlier(found, images="f2", fingerprint="dd").evaluations == ()


def test_what_comes_after_a_models_first_evaluation_does_not_change_what_came_before(path: Path) -> None:
    ledger.append(path, [evaluation("aa"), evaluation("bb", right=None)])
    before = ledger.earlier(ledger.read(path), images="f1", fingerprint="cc")
    assert not before.known
    with path.open("ab") as file:
        file.write(ledger.line_of(evaluation("cc")) + b"damaged\n")
    ledger.append(path, [evaluation("bb", right=99), evaluation("cc"), evaluation("dd")])
    again = ledger.earlier(ledger.read(path), images="f1", fingerprint="cc")
    assert again.known
    assert (
        (again.evaluations, again.damaged)
        == (before.evaluations, before.damaged)
        == ((evaluation("aa"), evaluation("bb", right=None)), 0)
    )
    assert ledger.earlier(ledger.read(path), images="f1", fingerprint="new").damaged == 1


def test_figures_that_a_first_evaluation_left_out_are_taken_from_a_later_one(path: Path) -> None:
    ledger.append(path, [evaluation("aa", right=None, complete=False), evaluation("bb"), evaluation("aa", right=70)])
    found = ledger.earlier(ledger.read(path), images="f1", fingerprint="cc")
    assert [(each.fingerprint, each.right) for each in found.evaluations] == [("aa", 70), ("bb", 80)]


# The confidence of many


@pytest.mark.parametrize(("models", "level"), [(1, 0.95), (2, 0.975), (10, 0.995)])
def test_the_level_that_each_takes_is_bonferronis(models: int, level: float) -> None:
    assert ledger.confidence(models) == pytest.approx(level)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1, "1st"),
        (2, "2nd"),
        (3, "3rd"),
        (4, "4th"),
        (11, "11th"),
        (12, "12th"),
        (113, "113th"),
        (21, "21st"),
        (1002, "1,002nd"),
    ],
)
def test_places_are_read_aloud(number: int, text: str) -> None:
    assert ledger.ordinal(number) == text


def test_the_time_is_utc_and_reads_back() -> None:
    assert ledger.parse(ledger.line_of(evaluation(time=ledger.now()))) is not None
