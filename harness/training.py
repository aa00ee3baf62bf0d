"""Weights are trained once: find what a model declares, its data and its weights, or train and keep them."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import archive
from harness.candidate import Candidate, Options, open_file
from harness.card import Card
from harness.dataset import read_splits
from harness.errors import ArgumentError, ModelError
from harness.model import Recipe, Task
from harness.modelfile import Facts, declared_files
from harness.source import Source, find_model
from harness.store import Store, code_digest, digest, file_digest

TRAINING_CODE = ("archive", "candidate", "dataset", "films", "folders", "keras_model", "model", "modelfile", "training")


def find_facts(source: Source, store: Store) -> Facts:
    """Return what a model declares, from the store where its sources are unchanged."""
    if source.is_keras_file:
        return Facts(kind="keras", recipe=dataclasses.asdict(Recipe()))
    key = digest("facts", source.fingerprint)
    stored = store.find_json("facts", key)
    if stored is not None:
        shape = stored["image_shape"]
        low, high = stored["input_range"]
        return Facts(**stored | {
            "image_shape": tuple(shape) if shape else None,
            "input_range": (low, high),
            "files": tuple(stored["files"]),
            "undeclared": tuple(stored["undeclared"]),
        })  # fmt: skip
    return keep_facts(source, store, open_file(source, None, store).facts)


def keep_facts(source: Source, store: Store, facts: Facts) -> Facts:
    """Store what a model declares; return it."""
    store.put_json("facts", digest("facts", source.fingerprint), dataclasses.asdict(facts))
    return facts


def image_shape(facts: Facts, card: Card, options: Options) -> tuple[int, int, int]:
    """Return (H, W, C): the command line's size, else the model's, else the data card's; one channel unless it asks."""
    size = options.image_size or (facts.image_shape[:2] if facts.image_shape else None) or card.image_size
    return (size[0], size[1], facts.image_shape[2] if facts.image_shape else 1)


def ready(name: str, card: Card, options: Options, store: Store, *, train: bool = True) -> Candidate:
    """Make a model ready to be judged: find it, read the data, train it once where it must be trained.

    Args:
        name: As given to ``--model``.
        card: The data.
        options: The rest of the command line.
        store: Where weights are kept.
        train: Whether training is allowed here; a worker process expects to find the weights.

    Raises:
        ModelError, DataError, ArgumentError: With one sentence on what to do.
    """
    source = find_model(name, options.models, trust=options.trust)
    facts = find_facts(source, store)
    shape = image_shape(facts, card, options)
    if source.is_keras_file and options.image_size is None:
        shape = archive.saved_shape(source.path) or shape
    splits = read_splits(card, image_shape=shape, cache=store.root / "pixels")
    if options.classes is not None and sorted(options.classes) != sorted(splits.classes):
        raise ArgumentError(
            f"--classes {', '.join(options.classes)}: must name each class once ({', '.join(splits.classes)})"
        )
    recipe = _recipe(facts, card, options)
    if facts.positive is not None and facts.positive not in splits.classes:
        raise ModelError(
            f"model '{name}': POSITIVE names '{facts.positive}', but the classes are {', '.join(splits.classes)}"
        )
    salt = options.run_id if facts.undeclared else ""
    candidate = Candidate(
        source, facts, Task(splits.classes, shape, options.seed), recipe, splits, store, options, salt
    )
    if facts.kind == "load":
        if options.weights is not None:
            raise ArgumentError(
                f"--weights: model '{name}' loads itself (load(task)), so there is nothing to put weights in"
            )
        _check_declared(candidate, lambda: candidate.model)
    elif options.weights is not None or source.is_keras_file:
        path = options.weights or source.path
        artefact = find_model(str(path), options.models, trust=options.trust)
        if not artefact.is_keras_file:
            raise ArgumentError(f"--weights {path}: must be a .keras file, as 'python -m harness train' writes it")
        candidate.weights = artefact.path
    else:
        _find_or_train(candidate, train=train)
    return candidate


def _recipe(facts: Facts, card: Card, options: Options) -> Recipe:
    """Return the model's recipe, as the data card changes it (its epochs are a limit), as the command line says."""
    declared = Recipe(**facts.recipe)
    recipe = declared.replace(**card.recipe)
    epochs = options.epochs if options.epochs is not None else min(recipe.epochs, declared.epochs)
    return recipe.replace(epochs=epochs)


def _check_declared(candidate: Candidate, run: Callable[[], object]) -> None:
    """Run a part of a model file once, and stop trusting the cache if it reads what it does not declare."""
    stored = candidate.store.find_json("declared", digest(candidate.source.fingerprint))
    if stored is None:
        run()
        _note_undeclared(candidate)
        candidate.store.put_json("declared", digest(candidate.source.fingerprint), {"checked": True})


def _note_undeclared(candidate: Candidate) -> None:
    undeclared = candidate.file.undeclared if candidate.file is not None else ()
    if undeclared and not candidate.facts.undeclared:
        candidate.facts = dataclasses.replace(candidate.facts, undeclared=undeclared)
        candidate.salt = candidate.options.run_id
        keep_facts(candidate.source, candidate.store, candidate.facts)


def weights_key(candidate: Candidate) -> str:
    """Return the key of the weights: everything that training depends on."""
    files = [file_digest(path) for path in declared_files(candidate.source, candidate.facts.files)]
    return digest(
        candidate.source.fingerprint,
        files,
        dataclasses.asdict(candidate.recipe),
        dataclasses.asdict(candidate.task),
        candidate.splits.fingerprint,
        code_digest(*TRAINING_CODE),
        candidate.salt,
    )


def _find_or_train(candidate: Candidate, *, train: bool) -> None:
    store, key = candidate.store, weights_key(candidate)
    if _take(candidate, key):
        return
    if not train:
        raise ModelError(
            f"model '{candidate.name}': its weights are not in the store; run without -n once, or use --weights"
        )
    with store.lock("weights", key):
        if _take(candidate, key):
            return
        started = time.perf_counter()
        history, trained = _train(candidate, store.path("weights", key, ".backup.npz"))
        _note_undeclared(candidate)
        key = weights_key(candidate)
        network, probe = trained
        path = store.path("weights", key, ".keras")
        save_weights(network, path)
        store.put_arrays(f"trained-{key}", {"probabilities": probe})
        store.put_json("weights", key, {"history": history, "sha256": file_digest(path)})
        candidate.seconds["training"] = time.perf_counter() - started
        _take(candidate, key)


def save_weights(network: Any, path: Path) -> None:  # noqa: ANN401 - a keras.Model
    """Write a network as a ``.keras`` artefact, atomically."""
    from harness import keras_model  # noqa: PLC0415

    keras_model.save_network(network, path)


def _take(candidate: Candidate, key: str) -> bool:
    """Take stored weights, where they are there and whole."""
    path = candidate.store.path("weights", key, ".keras")
    record = candidate.store.find_json("weights", key)
    if record is None or not path.is_file() or file_digest(path) != record["sha256"]:
        return False
    candidate.weights, candidate.origin, candidate.history = path, "trained here", record["history"]
    return True


def _train(candidate: Candidate, backup: Path) -> tuple[dict[str, list[float]], tuple[Any, Any]]:
    from harness import keras_model  # noqa: PLC0415

    file = candidate.file
    if file is None:
        raise ModelError(f"model '{candidate.name}': nothing to train")
    keras_model.start_anew(candidate.task.seed)
    network = file.call("build", candidate.task)
    keras_model.check_network(network, candidate.name, candidate.task, candidate.facts.positive)
    history = keras_model.train(network, candidate.streams, candidate.recipe, backup=backup, title=candidate.name)
    candidate.model = keras_model.KerasModel(network, candidate.name)
    films = candidate.splits.test.take(candidate.probe_rows())
    probe = candidate.predict(films)
    del candidate.model
    backup.unlink(missing_ok=True)
    return history, (network, probe)
