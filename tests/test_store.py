"""The store: digests, atomic writes, locks and damaged items."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from roentgate import store as store_module
from roentgate.store import Store, atomic, digest, file_digest, pack, unpack, versions


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_a_digest_ignores_the_order_of_keys_and_nothing_else() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
    assert digest(["a", "b"]) != digest(["b", "a"])
    assert digest("a", "b") != digest("ab")
    assert len(digest()) == 64


def test_a_files_digest_is_of_its_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"x")
    second.write_bytes(b"x")
    assert file_digest(first) == file_digest(second)
    second.write_bytes(b"y")
    assert file_digest(first) != file_digest(second)


def test_versions_are_found_without_importing_anything() -> None:
    assert set(versions()) == set(store_module.LIBRARIES)
    assert all(versions().values())


def test_an_atomic_file_replaces_the_old_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    with atomic(path) as temporary:
        temporary.write_text("new", "utf-8")
        assert not path.exists()
    assert path.read_text("utf-8") == "new"
    assert [each.name for each in path.parent.iterdir()] == ["file.txt"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_an_atomic_file_that_fails_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old", "utf-8")

    def write_half() -> None:
        with atomic(path) as temporary:
            temporary.write_text("half", "utf-8")
            raise OSError("disk full")

    with pytest.raises(OSError, match="full"):
        write_half()
    assert path.read_text("utf-8") == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["file.txt"]


def test_arrays_come_back_as_they_were_and_are_computed_once(store: Store) -> None:
    calls = []

    def compute() -> dict[str, np.ndarray]:
        calls.append(1)
        return {"a": np.arange(3), "b": np.array([np.nan, 1], np.float32)}

    first, second = store.arrays("k", compute), store.arrays("k", compute)
    assert len(calls) == 1
    for name, value in first.items():
        np.testing.assert_array_equal(second[name], value)
        assert second[name].dtype == value.dtype
    assert store.find_arrays("other") is None


def test_a_computation_that_fails_stores_nothing(store: Store) -> None:
    def compute() -> dict[str, np.ndarray]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.arrays("k", compute)
    assert store.find_arrays("k") is None


@pytest.mark.parametrize("keep", [0, 1, 30, 200])
@pytest.mark.filterwarnings("default")
def test_truncated_evidence_is_discarded_with_a_warning_and_computed_again(store: Store, keep: int) -> None:
    store.put_arrays("k", {"a": np.arange(100)})
    path = store.path("evidence", "k", ".npz")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.warns(UserWarning, match="damaged evidence is discarded and computed again"):
        found = store.arrays("k", lambda: {"a": np.arange(5)})
    np.testing.assert_array_equal(found["a"], np.arange(5))
    again = store.find_arrays("k")
    assert again is not None
    np.testing.assert_array_equal(again["a"], np.arange(5))


def test_evidence_with_a_flipped_bit_is_discarded(store: Store) -> None:
    store.put_arrays("k", {"a": np.arange(100)})
    path = store.path("evidence", "k", ".npz")
    content = bytearray(path.read_bytes())
    content[300] ^= 1
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="damaged"):
        assert store.find_arrays("k") is None


def test_evidence_that_holds_code_is_discarded_unread(store: Store) -> None:
    path = store.path("evidence", "k", ".npz")
    path.parent.mkdir(parents=True)
    np.savez(path, a=np.array([print], dtype=object))
    with pytest.warns(UserWarning, match="damaged"):
        assert store.find_arrays("k") is None


def test_json_comes_back_and_damaged_json_is_discarded(store: Store) -> None:
    assert store.find_json("facts", "k") is None
    store.put_json("facts", "k", {"a": [1, "ü"]})
    assert store.find_json("facts", "k") == {"a": [1, "ü"]}
    path = store.path("facts", "k", ".json")
    path.write_text('{"a": [1', "utf-8")
    assert store.find_json("facts", "k") is None
    assert not path.exists()
    path.write_bytes(b'"\xff"')
    assert store.find_json("facts", "k") is None


def test_the_sweep_takes_old_leftovers_and_nothing_else(store: Store) -> None:
    store.put_json("facts", "k", 1)
    folder = store.root / "facts"
    old, fresh = folder / ".tmp-old", folder / ".tmp-fresh"
    for path in (old, fresh):
        path.write_bytes(b"")
    os.utime(old, (time.time() - 2 * 24 * 3600,) * 2)
    store.sweep()
    assert sorted(path.name for path in folder.iterdir()) == [".tmp-fresh", "k.json"]


def test_a_lock_is_released_when_its_holder_dies(store: Store) -> None:
    script = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom roentgate.store import Store\n"
        "with Store(Path(sys.argv[1])).lock('weights', 'k'):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(store.root)], check=False, timeout=60)
    assert list((store.root / "locks").iterdir())
    with store.lock("weights", "k"):
        pass


def test_two_at_once_compute_once(store: Store) -> None:
    calls, found = [], []

    def compute() -> dict[str, np.ndarray]:
        calls.append(1)
        time.sleep(0.2)
        return {"a": np.arange(3)}

    threads = [threading.Thread(target=lambda: found.append(store.arrays("k", compute))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert len(found) == 3


def test_words_travel_as_an_array() -> None:
    value = {"words": ["ä", None, 1.5]}
    packed = pack(value)
    assert packed.dtype == np.uint8
    assert unpack(packed) == value
    assert json.loads(bytes(packed).decode()) == value
