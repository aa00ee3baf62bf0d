"""Hidden pixels vanish, kept pixels stay, and infills come from the kept pixels alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from roentgate.errors import ArgumentError
from roentgate.perturbations.border import (
    BLUR,
    INFILLS,
    Border,
    Infill,
    Interior,
    KeepBorder,
    Perturbation,
    apply_each,
    border_mask,
    border_pixels,
    donors,
    hide,
    interior_mask,
    swap_border,
)

KINDS: tuple[type[Perturbation], ...] = (Border, KeepBorder, Interior)
SHAPES = [(32, 32, 1), (40, 24, 1), (31, 33, 3)]


def random_images(
    shape: tuple[int, int, int], count: int = 3, seed: int = 0
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(seed).random((count, *shape), dtype=np.float32)


@pytest.mark.parametrize(
    ("shape", "width", "expected"),
    [((256, 256), 0.05, (13, 13)), ((100, 200), 0.1, (10, 20)), ((12, 30), 0.01, (1, 1))],
)
def test_a_border_is_as_thick_as_its_share_of_each_side_and_at_least_one_pixel(
    shape: tuple[int, int], width: float, expected: tuple[int, int]
) -> None:
    rows, columns = border_pixels(shape, width)
    assert (rows, columns) == expected
    mask = border_mask(shape, width)
    assert mask.sum() == shape[0] * shape[1] - (shape[0] - 2 * rows) * (shape[1] - 2 * columns)
    assert mask[rows - 1].all()
    assert not mask[rows : shape[0] - rows, columns : shape[1] - columns].any()


@pytest.mark.parametrize("width", [0.0, 0.5, -0.1, float("nan")])
def test_a_width_that_is_no_border_is_refused(width: float) -> None:
    with pytest.raises(ArgumentError, match=r"not between 0 and 0\.5"):
        border_pixels((64, 64), width)


@pytest.mark.parametrize("shape", [(1, 1), (2, 64), (64, 2), (4, 4)])
def test_a_border_that_leaves_nothing_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ArgumentError, match=f"hides all of a {shape[0]}x{shape[1]} image"):
        border_mask(shape, 0.4)


def test_an_unknown_infill_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ArgumentError, match="did you mean 'black'"):
        Border(0.05, "blakc")


@given(height=st.integers(16, 300), breadth=st.integers(16, 300), width=st.sampled_from([0.05, 0.1, 0.15, 0.25]))
def test_the_interior_is_as_large_as_the_border_and_centred_with_the_aspect_of_the_image(
    height: int, breadth: int, width: float
) -> None:
    inside, border = interior_mask((height, breadth), width), border_mask((height, breadth), width)
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    assert abs(int(inside.sum()) - int(border.sum())) <= max(len(rows), len(columns))
    assert inside[np.ix_(rows, columns)].all()
    assert abs(rows[0] - (height - 1 - rows[-1])) <= 1
    assert abs(columns[0] - (breadth - 1 - columns[-1])) <= 1
    assert len(rows) / height == pytest.approx(len(columns) / breadth, abs=2 / min(height, breadth))


def test_masks_cannot_be_changed_by_their_users() -> None:
    with pytest.raises(ValueError, match="read-only"):
        border_mask((32, 32), 0.1)[0, 0] = False


@pytest.mark.parametrize("infill", INFILLS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_kept_pixels_stay_bit_for_bit_and_nothing_hidden_survives(
    kind: type[Perturbation], infill: Infill, shape: tuple[int, int, int]
) -> None:
    perturbation = kind(0.1, infill)
    hidden = perturbation.hidden((shape[0], shape[1]))
    images = random_images(shape)
    before = images.copy()
    changed = images.copy()
    changed[:, hidden] = random_images(shape, seed=1)[:, hidden]
    result = perturbation(images)
    assert result.dtype == np.float32
    assert np.array_equal(images, before)
    assert np.array_equal(result[:, ~hidden], images[:, ~hidden])
    assert not np.array_equal(result[:, hidden], images[:, hidden])
    assert np.array_equal(result, perturbation(changed)), "another content of the hidden pixels must change nothing"
    assert result.min() >= 0
    assert result.max() <= 1 + 1e-6


def test_black_is_zero_and_mean_is_that_of_each_image_over_its_kept_pixels() -> None:
    images, border = random_images((32, 32, 3)), border_mask((32, 32), 0.1)
    assert (Border(0.1, "black")(images)[:, border] == 0).all()
    expected = images[:, ~border].mean(axis=1)
    assert np.allclose(Border(0.1, "mean")(images)[:, border], expected[:, None], atol=1e-6)


def test_edge_under_a_border_is_the_exact_clamp() -> None:
    images = random_images((40, 24, 1))
    core = images[:, 4:-4, 2:-2]
    assert np.array_equal(Border(0.1, "edge")(images), np.pad(core, ((0, 0), (4, 4), (2, 2), (0, 0)), mode="edge"))


def test_edge_inside_is_the_nearest_pixel_of_the_border() -> None:
    images = random_images((21, 21, 1), count=1)
    masked = KeepBorder(0.1, "edge")(images)[0, :, :, 0]
    border = np.argwhere(border_mask((21, 21), 0.1))
    for row, column in ((5, 9), (16, 10), (9, 4), (8, 17)):
        distance = np.square(border - (row, column)).sum(axis=1)
        nearest = border[distance == distance.min()]
        assert masked[row, column] in [images[0, y, x, 0] for y, x in nearest]


def test_blur_is_a_gaussian_of_the_edge_infill_renormalised_at_the_border() -> None:
    images = random_images((64, 48, 1), count=1)
    edge, blurred = Border(0.1, "edge")(images)[0, :, :, 0], Border(0.1, "blur")(images)[0, :, :, 0]
    sigma = (BLUR * 64, BLUR * 48)

    def smooth(
        values: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return ndimage.gaussian_filter(values, sigma, mode="constant", truncate=12)  # type: ignore[no-any-return]

    expected = smooth(edge) / smooth(np.ones_like(edge))
    border = border_mask((64, 48), 0.1)
    assert np.allclose(blurred[border], expected[border], atol=1e-5)


def test_a_constant_image_is_unchanged_by_every_infill_but_black() -> None:
    images = np.full((1, 32, 32, 1), 0.25, dtype=np.float32)
    for kind in KINDS:
        for infill in ("mean", "edge", "blur"):
            assert np.allclose(kind(0.1, infill)(images), images, atol=1e-6)


def test_names_are_stable_and_tell_perturbations_apart() -> None:
    assert Border(0.05, "black").name == "border-0.05-black"
    everything = [kind(width, infill) for kind in KINDS for width in (0.05, 0.1) for infill in INFILLS]
    assert len({each.name for each in everything}) == len(everything)
    assert Border(0.05, "black") == Border(0.05, "black")
    assert len({Border(0.05, "black"), KeepBorder(0.05, "black")}) == 2


@pytest.mark.parametrize("infill", INFILLS)
def test_any_pixels_can_be_hidden_as_those_of_a_border(infill: Infill) -> None:
    images = random_images((32, 32, 3))
    np.testing.assert_array_equal(hide(images, border_mask((32, 32), 0.1), infill), Border(0.1, infill)(images))


def test_what_cannot_be_hidden_is_refused_with_the_reason() -> None:
    images = random_images((32, 32, 1))
    with pytest.raises(ArgumentError, match="infill 'grey': unknown"):
        hide(images, border_mask((32, 32), 0.1), "grey")
    for hidden in (np.ones((32, 32), np.bool_), border_mask((30, 32), 0.1)):
        with pytest.raises(
            ArgumentError, match=r"does not fit images of shape \(\d+, 32, 32, 1\); hide part of an image"
        ):
            hide(images, hidden, "black")


def test_applying_each_gives_what_each_perturbation_gives_alone_in_order() -> None:
    images = random_images((32, 32, 1))
    everything = [kind(width, infill) for width in (0.05, 0.1) for kind in KINDS for infill in INFILLS]
    results = list(apply_each(images, everything))
    assert [name for name, _ in results] == [each.name for each in everything]
    for each, (_, result) in zip(everything, results, strict=True):
        assert np.array_equal(result, each(images))


def test_what_a_consumer_does_to_its_images_reaches_no_other() -> None:
    images = random_images((32, 32, 1))
    before = images.copy()
    for name, result in apply_each(images, [Border(0.1, "edge"), Border(0.1, "blur")]):
        if name == "border-0.1-blur":
            assert np.array_equal(result, Border(0.1, "blur")(before))
        result[:] = 0
    assert np.array_equal(images, before)


def test_a_swap_has_the_donors_border_and_its_own_inside() -> None:
    images, given_borders = random_images((32, 32, 3)), random_images((32, 32, 3), seed=1)
    result, border = swap_border(images, given_borders, 0.1), border_mask((32, 32), 0.1)
    assert np.array_equal(result[:, border], given_borders[:, border])
    assert np.array_equal(result[:, ~border], images[:, ~border])
    assert result.dtype == np.float32


def test_a_swap_needs_a_donor_for_each_image() -> None:
    with pytest.raises(ArgumentError, match="one donor an image"):
        swap_border(random_images((32, 32, 1)), random_images((32, 32, 1), count=2), 0.1)


@given(labels=st.lists(st.integers(0, 3), min_size=1, max_size=40), seed=st.integers(0, 5))
def test_donors_are_of_another_class_and_of_the_same_class_but_another_row(labels: list[int], seed: int) -> None:
    truth = np.array(labels, dtype=np.int64)
    other, same = donors(truth, ("a", "b", "c", "d"), seed)
    for row, label in enumerate(labels):
        if other[row] >= 0:
            assert labels[other[row]] != label
        if labels.count(label) == 1:
            assert same[row] == -1
        else:
            assert same[row] != row
            assert labels[same[row]] == label


@given(labels=st.lists(st.integers(0, 3), min_size=1, max_size=40), seed=st.integers(0, 5))
def test_no_row_is_a_donor_twice_and_only_a_class_of_more_than_half_lacks_donors(labels: list[int], seed: int) -> None:
    truth = np.array(labels, dtype=np.int64)
    other, same = donors(truth, ("a", "b", "c", "d"), seed)
    for found in (other, same):
        given = found[found >= 0]
        assert len(set(given.tolist())) == len(given)
    lacking = max(2 * max(map(labels.count, labels)) - len(labels), 0)
    assert (other < 0).sum() == lacking
    assert len(set(truth[other < 0].tolist())) <= 1


def test_donors_repeat_with_their_seed_and_come_from_every_other_class() -> None:
    labels = np.repeat([0, 1, 2], [1000, 1000, 1000])
    other, same = donors(labels, ("a", "b", "c"), seed=0)
    again = donors(labels, ("a", "b", "c"), seed=0)
    assert np.array_equal(other, again[0])
    assert np.array_equal(same, again[1])
    assert not np.array_equal(other, donors(labels, ("a", "b", "c"), seed=1)[0])
    for label in range(3):
        assert (labels[other[labels == label]] == (label + 1) % 3).mean() == pytest.approx(0.5, abs=0.05)
