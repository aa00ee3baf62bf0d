"""The lung probe sees the lungs and nothing else, and few images of a large train."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from roentgate.data import phantom
from roentgate.data.dataset import Dataset
from roentgate.evidence import lung_probe
from roentgate.perturbations import regions

DRAWN = [phantom.image("phantom", 0, "test", phantom.CLASSES[index % 3], index) for index in range(4)]
IMAGES = np.stack([each.image for each in DRAWN])[..., None].astype(np.float32) / np.float32(255)
LUNGS = np.stack([each.lungs for each in DRAWN]) > 127
TEMPLATE = lung_probe._reduced(LUNGS.mean(axis=0).astype(np.float32)) >= 0.5


def shown(images: NDArray[np.float32], lungs: NDArray[np.bool_] = LUNGS) -> NDArray[np.float32]:
    return lung_probe.seen(images, lungs, TEMPLATE)


def test_the_background_and_the_exposure_do_not_matter() -> None:
    before = shown(IMAGES)
    reach = np.stack([np.pad(lung, 4)[4:-4, 4:-4] for lung in LUNGS])
    for _ in range(4):
        reach[:, 1:-1, 1:-1] |= reach[:, 2:, 1:-1] | reach[:, :-2, 1:-1] | reach[:, 1:-1, 2:] | reach[:, 1:-1, :-2]
    other = np.where(reach[..., None], IMAGES, np.float32(0.9))
    np.testing.assert_allclose(shown(other), before, atol=1e-4)
    np.testing.assert_allclose(shown(IMAGES * np.float32(0.5) + np.float32(0.2)), before, atol=1e-3)


def test_the_same_lungs_on_another_background_are_seen_alike() -> None:
    before = shown(IMAGES)
    swapped = np.stack([regions.into_background(IMAGES[i], LUNGS[i], IMAGES[3 - i], LUNGS[3 - i]) for i in range(4)])
    after = shown(swapped, LUNGS[::-1])
    agreement = np.array([[np.corrcoef(a, b)[0, 1] for b in before] for a in after])
    assert np.diag(agreement).min() > agreement[~np.eye(4, dtype=bool)].max()


def test_a_small_train_is_used_whole_and_a_large_one_evenly(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = tuple(f"{row}.png" for row in range(30))
    root = tmp_path_factory.mktemp("none")
    data = Dataset(
        name="train",
        ids=names,
        paths=tuple(root / name for name in names),
        labels=np.repeat([0, 1], [20, 10]),
        classes=("A", "B"),
        root=root,
        image_shape=(8, 8, 1),
        groups=names,
    )
    assert lung_probe.sample(data) is data
    monkeypatch.setattr(lung_probe, "LARGEST", 8)
    few = lung_probe.sample(data)
    assert few.ids == tuple(f"{row}.png" for row in (0, 6, 13, 19, 20, 23, 26, 29))
    assert few.labels.tolist() == [0] * 4 + [1] * 4
    assert few.groups == few.ids
    assert lung_probe.sample(replace(data, groups=None)).groups is None
    assert lung_probe.sample(replace(data, groups=None, clusters=names)).units == few.ids
