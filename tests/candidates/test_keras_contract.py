"""The library relies on private parts of Keras, and these tests guard them.

All private names of Keras are used in one file, `keras_layers`. If a new version of Keras renames one of them, or
changes its meaning, a test fails here before verdicts go wrong elsewhere. The message says what to do.
"""

import ast
import importlib
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import layers

from roentgate.candidates.backends import keras_layers

ROOT = Path(__file__).resolve().parents[2]
OWN_FILE = "harness/roentgate/candidates/backends/keras_layers.py"
SOURCES = sorted(path for part in ("harness", "models", "suites") for path in (ROOT / part).rglob("*.py"))
PRIVATE = sorted(name for name in keras_layers.Layer.__annotations__ if name.startswith("_"))
SIDE = 6

Layers = dict[str, keras.Layer]


class Block(keras.Layer):  # type: ignore[misc]
    """A layer of layers, without weights of its own.

    Its ``call`` has no ``training`` argument.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        self.first = layers.Dense(3, name="first")
        self.second = layers.Dense(2, name="second")

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Return two numbers a row."""
        return self.second(self.first(inputs))


class Subclassed(keras.Model):  # type: ignore[misc]
    """A network whose ``call`` has no ``training`` argument."""

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Return the inputs."""
        return inputs


def nested() -> Layers:
    """Return the layers of a nested functional network, and a subclassed one, by name."""
    images = keras.Input((SIDE, SIDE, 1), name="images")
    backbone = keras.Sequential(
        [keras.Input((SIDE, SIDE, 1)), layers.Conv2D(2, 3, name="conv"), layers.BatchNormalization(name="norm")],
        name="backbone",
    )
    forced, free = layers.Dropout(0.5, name="forced"), layers.Dropout(0.5, name="free")
    twice = layers.ReLU(name="twice")
    inside = twice(free(forced(backbone(twice(images)), training=True)))
    flat = layers.Flatten(name="flat")(inside)
    frozen = layers.Dense(4, trainable=False, name="frozen")
    network = keras.Model(images, Block("block")(frozen(flat)), name="network")
    found: Layers = {"network": network, "subclassed": Subclassed(name="subclassed")}
    for layer in (*network.layers, *backbone.layers):
        found[layer.name] = layer
    return found


def inner_layers_in_order(found: Layers) -> bool:
    """Return whether inner layers are the direct ones, in the order of the graph."""
    names = {
        name: [layer.name for layer in keras_layers.inner_layers(found[name])]
        for name in ("network", "backbone", "block", "flat")
    }
    return (
        names["network"] == ["images", "twice", "backbone", "forced", "free", "flat", "frozen", "block"]
        and names["backbone"][-2:] == ["conv", "norm"]
        and names["block"] == ["first", "second"]
        and names["flat"] == []
    )


def calls_with_their_options(found: Layers) -> bool:
    """Return whether each call has an entry, with ``training`` only if its author set it."""
    asked = [options.get("training") for options in keras_layers.graph_calls(found["forced"])]
    silent = [options.get("training") for options in keras_layers.graph_calls(found["free"])]
    calls = len(keras_layers.graph_calls(found["twice"]))
    return (
        asked == [True]
        and len(silent) == 1
        and not silent[0]
        and calls == 2
        and not keras_layers.graph_calls(found["subclassed"])
    )


def training_is_an_argument(found: Layers) -> bool:
    """Return whether ``training`` counts as an argument of ``call`` and not of ``__call__``."""
    taking = [name for name, layer in found.items() if keras_layers.takes_training(layer)]
    return {"network", "backbone", "forced", "free", "norm"} <= set(taking) and not (
        {"subclassed", "block", "flat", "twice", "conv"} & set(taking)
    )


def own_weights_only(found: Layers) -> bool:
    """Return whether own weights count, frozen or not, and those of inner layers do not.

    The state of random generators does not count either.
    """
    holding = [name for name, layer in found.items() if keras_layers.has_own_weights(layer)]
    return sorted(holding) == ["conv", "frozen", "norm"]


CONTRACT: dict[str, tuple[str, Callable[[Layers], bool]]] = {
    "_layers": ("inner_layers", inner_layers_in_order),
    "_inbound_nodes": ("graph_calls", calls_with_their_options),
    "_call_has_training_arg": ("takes_training", training_is_an_argument),
    "_trainable_variables": ("has_own_weights", own_weights_only),
}
"""For each private name the function of `keras_layers` that reads it, and the test of its answers."""


def complaint(name: str, found: Layers) -> str:
    """Return what Keras has changed about a private name and what to do.

    The text is empty if nothing has changed.
    """
    function, holds = CONTRACT[name]
    remedy = (
        f"correct {function}() in {OWN_FILE}, so that it still answers as its docstring says, "
        "or pin the last Keras that passes in constraints.txt and bound it in pyproject.toml"
    )
    lacking = sorted(key for key, layer in found.items() if not hasattr(layer, name))
    if lacking:
        return f"Keras {keras.__version__}: a layer has no '{name}' any more (such as {lacking[0]}); {remedy}"
    try:
        kept = holds(found)
    except (AttributeError, TypeError, KeyError) as error:
        return f"Keras {keras.__version__}: '{name}' is not made as it was ({error}); {remedy}"
    if kept:
        return ""
    expected = (holds.__doc__ or "").partition("\n")[0].removeprefix("Return whether ").rstrip(".")
    return f"Keras {keras.__version__}: '{name}' means something else now (expected: {expected}); {remedy}"


# The private names


def test_every_private_name_has_a_contract() -> None:
    assert sorted(CONTRACT) == PRIVATE


@pytest.mark.parametrize("name", sorted(CONTRACT))
def test_a_private_name_is_there_and_means_what_it_did(name: str) -> None:
    message = complaint(name, nested())
    assert not message, message


def stand_ins(name: str, value: object) -> Layers:
    """Return layers as of a Keras in which a private name has another value."""
    attributes = {private: getattr(layer, private) for layer in nested().values() for private in PRIVATE}
    return {key: SimpleNamespace(**attributes | {"name": key, name: value}) for key in nested()}


@pytest.mark.parametrize("name", sorted(CONTRACT))
def test_a_name_that_is_gone_or_changed_is_a_sentence(name: str) -> None:
    gone: Layers = {"flat": SimpleNamespace()}
    remedy = r"correct \w+\(\) in .*, or pin .* in constraints\.txt and bound it in pyproject\.toml"
    assert re.fullmatch(rf"Keras \S+: a layer has no '{name}' any more .*; {remedy}", complaint(name, gone))
    changed = complaint(name, stand_ins(name, []))
    assert re.fullmatch(rf"Keras \S+: '{name}' means something else now .*; {remedy}", changed)
    if name in {"_layers", "_inbound_nodes"}:
        assert f"'{name}' is not made as it was" in complaint(name, stand_ins(name, None))


# What is not private, and not promised either


def test_a_layer_runs_the_call_that_is_written_into_it() -> None:
    layer, images = layers.ReLU(), np.ones((1, 2), np.float32)
    vars(layer)["call"] = lambda inputs, *_, **__: inputs * 2
    replaced = np.asarray(layer(images)).max() == 2
    del vars(layer)["call"]
    assert replaced, (
        f"Keras {keras.__version__}: Layer.__call__ does not look for 'call' on the layer itself any more, and what "
        "happens inside a network cannot be seen; wrap layers otherwise in layer_trace.py and keras_gradients.py"
    )
    assert np.asarray(layer(images)).max() == 1


def test_a_layer_squashes_with_the_activation_that_is_written_into_it() -> None:
    layer, images = layers.Dense(2, activation="softmax"), np.ones((1, 2), np.float32)
    squashed = np.asarray(layer(images))
    vars(layer)["activation"] = keras.activations.linear
    assert not np.allclose(np.asarray(layer(images)), squashed), (
        f"Keras {keras.__version__}: a layer does not read its 'activation' when it runs any more, so logits cannot be "
        "seen; correct _linear() in keras_gradients.py"
    )


def test_the_generator_of_the_article_is_where_it_was() -> None:
    module = importlib.import_module("tensorflow.keras.preprocessing.image")
    assert hasattr(module, "ImageDataGenerator"), (
        f"Keras {keras.__version__}: tensorflow.keras has no ImageDataGenerator any more; let models/baseline.py "
        "bring its own, or pin the last Keras that has one in constraints.txt"
    )


# One place


def test_private_names_of_layers_stand_in_one_file() -> None:
    pattern = re.compile(rf"(?<!\w)({'|'.join(PRIVATE)})(?!\w)")
    found = {path.relative_to(ROOT).as_posix() for path in SOURCES if pattern.search(path.read_text("utf-8"))}
    assert found == {OWN_FILE}


def test_no_other_private_member_of_keras_is_reached_for() -> None:
    """No attribute is used that layers, networks, variables, optimizers or callbacks have in private.

    Attributes of ``self`` and ``cls`` are left out.
    """
    network = nested()["network"]
    network.compile("sgd", "mse")
    objects = [*nested().values(), network, *network.variables, network.optimizer, keras.callbacks.EarlyStopping()]
    private = {name for thing in objects for name in dir(thing) if name.startswith("_") and not name.endswith("__")}
    reached = {
        f"{path.relative_to(ROOT).as_posix()}: {node.attr}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in private
        and not (isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"})
    }
    assert reached == {f"{OWN_FILE}: {name}" for name in PRIVATE}


def test_what_keras_hides_in_its_sources_is_not_imported() -> None:
    found = {
        path.relative_to(ROOT).as_posix() for path in SOURCES if re.search(r"\bkeras\.src\b", path.read_text("utf-8"))
    }
    assert found == set()
