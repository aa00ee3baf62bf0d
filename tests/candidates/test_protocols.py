"""Impossible recipes are refused, and so are networks that do not fit their task."""

import pytest

from roentgate.candidates.protocols import Recipe, Task, check_images
from roentgate.errors import ArgumentError, ModelError
from tests.support.altered import altered

TASK = Task(("Covid", "Normal"), (32, 48, 1), seed=0)


@pytest.mark.parametrize("name", ["batch_size", "epochs", "patience", "plateau_patience"])
@pytest.mark.parametrize("value", [0, -1, 1.0, True, "8", None])
def test_a_count_of_a_recipe_is_a_whole_number_of_at_least_one(name: str, value: object) -> None:
    assert getattr(Recipe(**{name: 1}), name) == 1
    with pytest.raises(ArgumentError, match=f"recipe: {name} must be a whole number of at least 1"):
        altered(Recipe(), **{name: value})


@pytest.mark.parametrize("value", [0.0, 1.0, -0.5, 1, float("nan"), "0.1"])
def test_a_plateau_lowers_the_learning_rate_and_does_not_stop_it(value: object) -> None:
    assert Recipe(plateau_factor=0.5).plateau_factor == 0.5
    with pytest.raises(ArgumentError, match="recipe: plateau_factor must lie between 0 and 1"):
        altered(Recipe(), plateau_factor=value)


def test_a_mistyped_field_of_a_recipe_names_the_nearest() -> None:
    assert Recipe().replace(epochs=3).epochs == 3
    with pytest.raises(ArgumentError, match="unknown field 'epoch'; did you mean 'epochs'"):
        Recipe().replace(epoch=3)


@pytest.mark.parametrize("shape", [(None, 32, 48, 1), (None, None, None, 1), (None, None, None, None), (None, 1536)])
def test_a_network_of_the_tasks_images_or_of_any_is_taken(shape: tuple[int | None, ...]) -> None:
    check_images(shape, "mine", TASK)


@pytest.mark.parametrize("shape", [(None, 48, 32, 1), (None, 32, 48, 3), (None, None, None, 3), (None, 224, 48, 1)])
def test_a_network_of_other_images_is_refused_with_both_shapes(shape: tuple[int | None, ...]) -> None:
    with pytest.raises(ModelError, match=r"'mine': takes images \(.*\), but is given \(32, 48, 1\); set IMAGE_SHAPE"):
        check_images(shape, "mine", TASK)
