"""Make models ready to be judged, and train them at most once.

This finds the declarations, the data and the weights of a model. Missing weights are trained and stored.
"""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from roentgate.arrays import Probabilities
from roentgate.candidates.backends import History, keras_archive
from roentgate.candidates.candidate import Candidate, Options, open_file
from roentgate.candidates.discovery import Source, find_model
from roentgate.candidates.model_file import Facts, ModelFile, declared_files
from roentgate.candidates.protocols import Recipe, Task
from roentgate.code_key import code_digest
from roentgate.data import Card, Splits, read_splits
from roentgate.errors import ArgumentError, DataError, ModelError
from roentgate.store import Store, digest, file_digest


def find_facts(source: Source, root: Path | None, store: Store) -> tuple[Facts, ModelFile | None]:
    """Return what a model declares.

    It comes from the store if the sources and declared files are unchanged.

    Args:
        source: From `find_model`.
        root: The data root.
        store: Keeps the facts.

    Returns:
        The facts, and the model file if it had to be imported.
    """
    if source.is_keras_file:
        return Facts(kind="keras", recipe=dataclasses.asdict(Recipe())), None
    stored = store.find_json("facts", _facts_key(source))
    if stored is not None:
        facts = _as_facts(stored["facts"])
        if _digests(source, facts) == stored["digests"]:
            return facts, None
    file = open_file(source, root, store)
    facts = dataclasses.replace(file.facts, undeclared=file.undeclared)
    _keep_facts(source, store, facts)
    return facts, file


def _as_facts(stored: dict[str, Any]) -> Facts:
    """Return the facts of a JSON object, which has lists in place of tuples."""
    shape, (low, high) = stored["image_shape"], stored["input_range"]
    tuples = {
        "image_shape": tuple(shape) if shape else None,
        "input_range": (low, high),
        "files": tuple(stored["files"]),
        "undeclared": tuple(stored["undeclared"]),
    }
    return Facts(**stored | tuples)


def _keep_facts(source: Source, store: Store, facts: Facts) -> None:
    store.put_json(
        "facts", _facts_key(source), {"facts": dataclasses.asdict(facts), "digests": _digests(source, facts)}
    )


def _facts_key(source: Source) -> str:
    return digest("facts", source.fingerprint, code_digest("roentgate.candidates.model_file"))


def _digests(source: Source, facts: Facts) -> list[str]:
    return [file_digest(path) for path in declared_files(source, facts.files)]


def image_shape(facts: Facts, card: Card, options: Options) -> tuple[int, int, int]:
    """Return the shape (H, W, C) of the images that a model is given.

    The size is that of the command line, else of the model, else of the data card. There is one channel unless the
    model asks for another number.
    """
    size = options.image_size or (facts.image_shape[:2] if facts.image_shape else None) or card.image_size
    return (size[0], size[1], facts.image_shape[2] if facts.image_shape else 1)


@dataclass(frozen=True, slots=True)
class _Found:
    """A model before its data are read.

    Args:
        name: As given to ``--model``.
        source: Its origin.
        facts: What it declares.
        file: The model file, if it had to be imported.
        shape: (H, W, C) of the images that it is given.
    """

    name: str
    source: Source
    facts: Facts
    file: ModelFile | None
    shape: tuple[int, int, int]


def ready(  # noqa: PLR0913  the run, and two things that most callers leave
    name: str,
    card: Card,
    options: Options,
    store: Store,
    *,
    train: bool = True,
    add_units: Callable[[Splits], Splits] = lambda splits: splits,
) -> Candidate:
    """Return a model that is ready to be judged, trained if necessary.

    Args:
        name: As given to ``--model``.
        card: The data.
        options: The rest of the command line.
        store: Keeps the weights.
        train: Whether training is allowed here. A worker process expects stored weights.
        add_units: Returns the data with what only rooms above this one know: which rows are near-duplicates.

    Raises:
        ModelError, DataError, ArgumentError: One sentence says what to do.
    """
    found = _find(name, card, options, store)
    splits = add_units(_read_data(found, card, options, store))
    candidate = _make(found, splits, _recipe(found.facts, card, options), options, store)
    _provide_weights(candidate, name, train=train)
    return candidate


def _find(name: str, card: Card, options: Options, store: Store) -> _Found:
    """Return a model with what it declares and the image shape that it is given."""
    source = find_model(name, options.models, trust=options.trust)
    facts, file = find_facts(source, card.root, store)
    shape = image_shape(facts, card, options)
    if source.is_keras_file:
        height, width, channels = keras_archive.saved_shape(source.path)
        shape = (shape[0], shape[1], channels or shape[2])
        if options.image_size is None:
            shape = (height or shape[0], width or shape[1], shape[2])
    return _Found(name, source, facts, file, shape)


def _read_data(found: _Found, card: Card, options: Options, store: Store) -> Splits:
    """Return the data at the image size of the model.

    Raises:
        ArgumentError: An option does not fit the model and the data.
    """
    splits = read_splits(card, image_shape=found.shape, cache=store.root / "pixels", store=store)
    _check_options(found.name, found.source, options, splits.classes)
    return splits


def _make(found: _Found, splits: Splits, recipe: Recipe, options: Options, store: Store) -> Candidate:
    """Return the candidate, still without weights."""
    source, facts = found.source, found.facts
    if facts.positive is not None and facts.positive not in splits.classes:
        raise ModelError(
            f"model '{found.name}': POSITIVE names '{facts.positive}', but the classes are {', '.join(splits.classes)}"
        )
    if found.file is not None:
        found.file.allow(splits.places)
    salt = options.run_id if facts.undeclared else ""
    task = Task(splits.classes, found.shape, options.seed)
    return Candidate(source, facts, task, recipe, splits, store, options, salt, _file=found.file)


def _provide_weights(candidate: Candidate, name: str, *, train: bool) -> None:
    """Find the weights of a candidate or train them.

    A model that loads itself is loaded once, to see that it can be.
    """
    source, options = candidate.source, candidate.options
    if candidate.facts.kind == "load":
        if options.weights is not None:
            raise ArgumentError(
                f"--weights: model '{name}' loads itself (load(task)), so there is nothing to put weights in"
            )
        _load_once(candidate)
    elif options.weights is not None or source.is_keras_file:
        path = options.weights or source.path
        artefact = find_model(str(path), options.models, trust=options.trust)
        if not artefact.is_keras_file:
            raise ArgumentError(f"--weights {path}: must be a .keras file, as 'python -m roentgate train' writes it")
        if options.weights is not None:
            _check_notes(candidate, artefact.path)
        candidate.weights = artefact.path
    else:
        _find_or_train(candidate, train=train)


def _check_options(name: str, source: Source, options: Options, classes: tuple[str, ...]) -> None:
    """Refuse options that this kind of model cannot follow."""
    if options.classes is not None and not source.is_keras_file:
        raise ArgumentError(
            f"--classes: goes with a bare .keras file; model '{name}' has the classes of the data, in their order"
        )
    if options.classes is not None and sorted(options.classes) != sorted(classes):
        raise ArgumentError(f"--classes {', '.join(options.classes)}: must name each class once ({', '.join(classes)})")
    if options.weights is not None and source.is_keras_file:
        raise ArgumentError(
            f"--weights {options.weights}: model '{name}' is itself a trained file; judge one or the other"
        )


def _recipe(facts: Facts, card: Card, options: Options) -> Recipe:
    """Return the recipe of the model with the changes of data card and command line.

    The data card can only lower the number of epochs.
    """
    declared = Recipe(**facts.recipe)
    try:
        recipe = declared.replace(**card.recipe)
    except ArgumentError as error:
        raise DataError(f"data card '{card.name}': {error}") from None
    epochs = options.epochs if options.epochs is not None else min(recipe.epochs, declared.epochs)
    return recipe.replace(epochs=epochs)


def _load_once(candidate: Candidate) -> None:
    """Load a ready model the first time, so that its faults are reported before any test."""
    key = digest(candidate.source.fingerprint, _digests(candidate.source, candidate.facts))
    if candidate.store.find_json("loaded", key) is None:
        _ = candidate.model
        note_undeclared(candidate)
        candidate.store.put_json("loaded", key, {})


def note_undeclared(candidate: Candidate) -> None:
    """Record the files that a model file has read without declaring them.

    From then on nothing that is stored for this model is reused.
    """
    if set(candidate.undeclared) != set(candidate.facts.undeclared):
        candidate.facts = dataclasses.replace(candidate.facts, undeclared=candidate.undeclared)
        candidate.salt = candidate.options.run_id
        _keep_facts(candidate.source, candidate.store, candidate.facts)


def forget(candidate: Candidate) -> None:
    """Remove the weights of a model that no other run may use."""
    if candidate.salt and candidate.origin == "trained here" and candidate.weights is not None:
        for suffix in (".keras", ".json"):
            candidate.weights.with_suffix(suffix).unlink(missing_ok=True)


def weights_key(candidate: Candidate) -> str:
    """Return the key of the weights, a digest of all that training depends on."""
    return digest(
        candidate.source.fingerprint,
        candidate.source.libraries,
        _digests(candidate.source, candidate.facts),
        dataclasses.asdict(candidate.recipe),
        dataclasses.asdict(candidate.task),
        candidate.pixels_fingerprint,
        code_digest(__name__),
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
        backup = store.path("weights", key, ".backup.npz")
        try:
            history, probe = _train(candidate, backup)
            note_undeclared(candidate)
            key = weights_key(candidate)
            path = store.path("weights", key, ".keras")
            save_weights(candidate, path)
        finally:
            vars(candidate).pop("model", None)  # to be loaded again from the weights
        record = {"history": history, "probe": probe.tolist(), "sha256": file_digest(path)}
        store.put_json("weights", key, record)
        backup.unlink(missing_ok=True)
        candidate.seconds["training"] = time.perf_counter() - started
        _take(candidate, key)


def _notes(candidate: Candidate) -> dict[str, object]:
    """Return what is noted in a weights artefact: the model and its task."""
    task = candidate.task
    return {"model": candidate.name, "classes": list(task.classes), "image_shape": list(task.image_shape)}


def _check_notes(candidate: Candidate, path: Path) -> None:
    """Refuse an artefact of another model or for another task."""
    found = keras_archive.notes(path)
    shape = found.get("image_shape")
    remedies = {
        "model": f"pass --model {found.get('model')}",
        "classes": "judge it on data of those classes",
        "image_shape": "pass --image-size {}x{}".format(*(shape if isinstance(shape, list) else [0, 0])[:2]),
    }
    for name, wanted in _notes(candidate).items():
        if name in found and found[name] != wanted:
            note = name.replace("_", " ")
            raise ArgumentError(f"--weights {path}: its {note} is {found[name]}, not {wanted}; {remedies[name]}")


def save_weights(candidate: Candidate, path: Path) -> None:
    """Write the weights of a candidate as an artefact, atomically."""
    candidate.backend.save(path, _notes(candidate))


def _take(candidate: Candidate, key: str) -> bool:
    """Use stored weights, and return whether there are any that are intact."""
    path = candidate.store.path("weights", key, ".keras")
    record = candidate.store.find_json("weights", key)
    if record is None or not path.is_file() or file_digest(path) != record["sha256"]:
        return False
    candidate.weights, candidate.origin, candidate.history = path, "trained here", record["history"]
    candidate.probe = np.array(record["probe"], dtype=np.float32)
    return True


def _train(candidate: Candidate, backup: Path) -> tuple[History, Probabilities]:
    """Build and train the model, and return its curves and its answers on the probe rows."""
    file, backend, task = candidate.file, candidate.backend, candidate.task
    if file is None:
        raise ModelError(f"model '{candidate.name}': nothing to train")
    candidate.model = backend.build(lambda: file.call("build", task), task, candidate.facts.positive)
    with candidate.watched():
        history = backend.train(candidate.streams, candidate.recipe, backup=backup)
    images = candidate.splits.test.take(candidate.probe_rows())
    return history, candidate.predict(images)
