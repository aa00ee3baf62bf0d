"""Tests of attributions: sample, storage, sanity check, policy and suite."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from roentgate.checks import attribution
from roentgate.errors import PolicyError
from roentgate.evidence.attribution.attributions import AttributionRecord, balanced
from roentgate.evidence.attribution.explainers import Explainer
from roentgate.evidence.evidence import Evidence
from roentgate.policy.bounds import AttributionBounds, Explanation
from roentgate.policy.policy import load_policy

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.toy import Draw, Project

pytest_plugins = ["tests.support.toy"]

FEW: dict[Explanation, int] = {"grad_cam": 3, "integrated_gradients": 3, "occlusion": 3}
BOUNDS = AttributionBounds(images=9, steps=4, sanity_check_images=6, deletion_images=6, draws=FEW)


@pytest.fixture
def alone(project: Project) -> Project:
    """A project with its own store."""
    project.store = project.folder / "store"
    return project


def record(project: Project, model: str = "nearest", **bounds: object) -> AttributionRecord:
    return AttributionRecord(Evidence(project.ready(model)), BOUNDS.model_copy(update=bounds))


class Middles:
    """Lung masks over the middle, which holds the toy images' blobs."""

    trusted = np.ones(36, dtype=bool)

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return masks (k, 32, 32)."""
        found = np.zeros((len(rows), 32, 32), dtype=bool)
        found[:, 4:27, 6:26] = True
        return found


def with_middles(found: AttributionRecord) -> AttributionRecord:
    """Return the same model's record with lung masks in the middle."""
    return AttributionRecord(found._evidence, BOUNDS, Middles())


# The sample


def test_the_sample_is_spread_evenly_over_each_class() -> None:
    labels = np.repeat([0, 1, 2], [100, 10, 2])
    rows = balanced(labels, np.ones(112, dtype=bool), 12)
    assert labels[rows].tolist() == [0] * 4 + [1] * 4 + [2] * 2
    assert rows.tolist() == [0, 33, 66, 99, 100, 103, 106, 109, 110, 111]
    allowed = labels != 1
    assert not (labels[balanced(labels, allowed, 12)] == 1).any()
    assert balanced(labels, np.zeros(112, dtype=bool), 12).tolist() == []


# A black box


def test_a_black_box_is_explained_by_occlusion_once_and_never_again(alone: Project) -> None:
    first = record(alone)
    assert first.methods == ("occlusion",)
    found = first.attributions("occlusion")
    assert found.maps.shape == (9, 32, 32)
    assert found.maps.dtype == np.float32
    assert found.ids == tuple(first.candidate.splits.test.ids[row] for row in found.rows)
    np.testing.assert_array_equal(found.predicted, first.candidate.splits.test.labels[found.rows])
    curves = first.curves("occlusion")
    cost = first.candidate.passes
    assert cost > 9 * 81
    again = record(alone)
    np.testing.assert_array_equal(again.attributions("occlusion").maps, found.maps)
    np.testing.assert_array_equal(again.curves("occlusion").own["deletion"], curves.own["deletion"])
    assert again.candidate.passes == 0
    assert record(alone, images=6).attributions("occlusion").maps.shape == (6, 32, 32)


def test_a_black_box_has_no_sanity_check_and_says_so_in_every_row(alone: Project) -> None:
    found = with_middles(record(alone))
    correlation = attribution.randomisation_correlation(found, "occlusion")
    assert not correlation.defined
    assert correlation.detail.startswith("sanity check not possible: the parameters of this model are out of reach")
    assert not found.sanity_check("occlusion").passed
    inside = attribution.in_lungs(found, "occlusion", "centre")
    assert inside.defined
    assert "a measurement of its answers, not an explanation" in inside.detail


def test_the_blob_that_the_toy_model_reads_is_what_occlusion_finds(alone: Project) -> None:
    found = with_middles(record(alone))
    assert attribution.pointing(found, "occlusion").value == 1
    assert attribution.in_lungs(found, "occlusion", "centre").n == 9
    for direction in attribution.DIRECTIONS:
        assert attribution.deletion_gain(found, "occlusion", direction, "random").value > 0


def test_a_model_without_an_answer_has_nothing_to_explain(alone: Project) -> None:
    alone.write(
        "models/undecided.py",
        "import numpy as np\n\n\nclass Undecided:\n    def predict(self, images):\n"
        "        return np.full((len(images), 3), np.nan, np.float32)\n\n\ndef load(task):\n    return Undecided()\n",
    )
    found = record(alone, "undecided")
    assert found.unusable_reason("occlusion") == "no image has an answer to explain"
    assert not attribution.pointing(found, "occlusion").defined
    assert not attribution.deletion_gain(found, "occlusion", "deletion", "random").defined


def test_where_nobody_knows_the_lungs_every_image_is_left_out_and_counted(alone: Project) -> None:
    found = attribution.in_lungs(record(alone), "occlusion", "centre")
    assert not found.defined
    assert "9 images without a trusted lung mask left out" in found.detail


# A network


NETWORK = '''
"""A small network."""

import keras
from keras import layers

from roentgate import Recipe

RECIPE = Recipe(epochs=12, batch_size=6)


def build(task):
    network = keras.Sequential(
        [
            keras.Input(task.image_shape),
            layers.Conv2D(8, 5, strides=2, activation="relu"),
            layers.Conv2D(8, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(len(task.classes), activation="softmax"),
        ]
    )
    network.compile(optimizer=keras.optimizers.Adam(1e-2), loss="categorical_crossentropy")
    return network
'''


@pytest.fixture
def network(project: Project) -> Project:
    """The shared project with a network, trained in the shared store."""
    project.write("models/network.py", NETWORK)
    return project


@pytest.mark.trains
def test_a_network_is_explained_and_each_explainer_tested_only_once(network: Project) -> None:
    first = record(network, "network")
    assert first.methods == ("grad_cam", "integrated_gradients", "occlusion")
    before = [np.array(value) for value in first.candidate.network.get_weights()]
    checks = {method: first.sanity_check(method) for method in first.methods}
    for old, new in zip(before, first.candidate.network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    for method, found in checks.items():
        assert found.similarity.shape == found.correlation.shape == (3, 6)
        assert found.others.shape == (15,)
        assert found.cascade[-1][0] == 1
        assert found.summary.startswith("sanity check ")
        assert first.attributions(method).description
    assert "conv2d" in first.attributions("grad_cam").description
    assert "4 steps from black" in first.attributions("integrated_gradients").description
    again = record(network, "network")
    for method, found in checks.items():
        np.testing.assert_array_equal(again.sanity_check(method).correlation, found.correlation)
        np.testing.assert_array_equal(again.attributions(method).maps, first.attributions(method).maps)
    assert again.candidate.passes == 0
    assert "model" not in vars(again.candidate)  # the network was not loaded


@pytest.mark.trains
def test_an_explainer_that_draws_the_edges_of_the_image_is_not_used(
    network: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def edges(
        _: Explainer, method: str, images: NDArray[np.float32], predicted: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        assert method == "grad_cam"
        assert len(images) == len(predicted)
        return np.abs(np.gradient(images[..., 0], axis=1)).astype(np.float32)

    network.store = tmp_path / "store"
    monkeypatch.setattr(Explainer, "maps", edges)
    found = with_middles(record(network, "network", methods=["grad_cam"]))
    assert not found.sanity_check("grad_cam").passed
    for estimate in (
        attribution.in_lungs(found, "grad_cam", "centre"),
        attribution.pointing(found, "grad_cam"),
        attribution.pointing_beyond(found, "grad_cam", "mean mask"),
        attribution.deletion_gain(found, "grad_cam", "insertion", "centre"),
    ):
        assert not estimate.defined
        assert estimate.detail == "sanity check not passed on this model: see attribution_sanity_check"
    detail = attribution.randomisation_correlation(found, "grad_cam").detail
    assert detail.startswith("sanity check failed: with all weights random, maps keep a rank correlation of 1.00")


# The policy


def test_the_policy_names_explainers_and_numbers_of_random_networks(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"

    def read(text: str) -> AttributionBounds:
        path.write_text(f"[attributions]\n{text}\n", "utf-8")
        return load_policy(path, data="toy", classes=("A", "B")).attributions

    assert read('methods = ["occlusion", "occlusion"]').methods == ["occlusion"]
    assert read("draws = {occlusion = 7}").random_networks("occlusion") == 7
    assert read("draws = {occlusion = 7}").random_networks("grad_cam") == 20
    for wrong in (
        "methods = []",
        'methods = ["guess"]',
        "draws = {guess = 7}",
        "draws = {occlusion = 2}",
        "images = 1",
    ):
        with pytest.raises(PolicyError):
            read(wrong)


# The suite


SUITE_POLICY = """
[gate.required]
small = ["recall_floor"]

[attributions]
images = 6
deletion_images = 6
"""


def test_the_suite_is_descriptive_and_draws_no_black_box(
    project: Project,
    real_draw: Draw,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("roentgate.report.figure_set.draw", real_draw)
    old = project.write("reports/toy/nearest/attribution-occlusion.png", "of an older run")
    project.use_real_suites()
    for suite in (project.folder / "suites").glob("test_*.py"):
        if suite.name != "test_attention.py":
            suite.unlink()
    project.write(
        "suites/test_small.py",
        '"""Recall."""\n\nfrom roentgate import at_least, metrics\n\n\n'
        "def test_recall_floor(evidence, accept, label):\n"
        '    """Recall."""\n    accept(at_least(metrics.recall(evidence.test, label), 0.5), subject=label)\n',
    )
    project.write("suites/policy.toml", SUITE_POLICY)
    result = project.run()
    assert result.status == 0, result.out
    rows = [row for row in result.record()["rows"] if row["suite"] == "attention"]
    assert {row["check"] for row in rows} >= {
        "attribution_sanity_check",
        "attribution_in_lungs",
        "attribution_pointing",
        "attribution_deletion",
    }
    assert not any(row["gates"] for row in rows if row["check"].startswith("attribution"))
    skipped = {row["check"] for row in rows if row["outcome"] == "skipped"}
    assert skipped >= {"attribution_in_lungs", "attribution_pointing"}  # the toy images show no lungs
    passes = json.loads((result.reports / "toy" / "nearest" / "run.json").read_text("utf-8"))["forward_passes"]
    assert passes > 6 * 81
    assert not old.exists()
