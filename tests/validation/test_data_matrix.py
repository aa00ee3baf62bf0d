"""Every spoiled data set is refused by its check alone, and sound ones by none."""

from pathlib import Path

import pytest

from roentgate.errors import ArgumentError
from roentgate.store import Store
from tests.validation import data_matrix
from tests.validation.planted_data import SPOILED, Spoiled, write

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.mark.parametrize("spoiled", SPOILED, ids=[each.name for each in SPOILED])
def test_a_data_set_is_refused_for_its_fault_alone(
    spoiled: Spoiled, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_matrix, "SPOILED", (spoiled,))
    (entry,) = data_matrix.judge(ROOT, [0], store, lambda _now, _done: None)
    (outcome,) = entry["outcomes"]
    assert outcome["refused"] == outcome["failed"] == entry["promised"]
    assert outcome["diagnosed"] == bool(spoiled.check)


def test_an_unknown_data_set_is_a_sentence(store: Store) -> None:
    with pytest.raises(ArgumentError, match=r"has the name 'image_leaked'; did you mean 'images_leaked'"):
        write("image_leaked", 0, store)


def test_sound_sets_are_drawn_more_often_where_all_seeds_are_asked() -> None:
    faulty = sum(bool(each.check) for each in SPOILED)
    sound = len(SPOILED) - faulty
    assert data_matrix.work(range(5)) == 5 * faulty + data_matrix.CALM_SEEDS * sound
    assert data_matrix.work(range(2)) == 2 * len(SPOILED)
    assert data_matrix.CALM_SEEDS >= 20
