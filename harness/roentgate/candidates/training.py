"""Weights are trained once: find what a model declares, its data and its weights, or train and keep them."""

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path

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
    """Return what a model declares, from the store where its sources and declared files are unchanged.

    Args:
        source: From `find_model`.
        root: The data root.
        store: Where the facts are kept.

    Returns:
        The facts, and the model file where it had to be imported.
    """
    if source.is_keras_file:
        return Facts(kind="keras", recipe=dataclasses.asdict(Recipe())), None
    stored = store.find_json("facts", _facts_key(source))
    if stored is not None:
        shape = stored["facts"]["image_shape"]
        low, high = stored["facts"]["input_range"]
        facts = Facts(**stored["facts"] | {
            "image_shape": tuple(shape) if shape else None,
            "input_range": (low, high),
            "files": tuple(stored["facts"]["files"]),
            "undeclared": tuple(stored["facts"]["undeclared"]),
        })  # fmt: skip
        if _digests(source, facts) == stored["digests"]:
            return facts, None
    file = open_file(source, root, store)
    facts = dataclasses.replace(file.facts, undeclared=file.undeclared)
    _keep_facts(source, store, facts)
    return facts, file


def _keep_facts(source: Source, store: Store, facts: Facts) -> None:
    store.put_json(
        "facts", _facts_key(source), {"facts": dataclasses.asdict(facts), "digests": _digests(source, facts)}
    )


def _facts_key(source: Source) -> str:
    return digest("facts", source.fingerprint, code_digest("roentgate.candidates.model_file"))


def _digests(source: Source, facts: Facts) -> list[str]:
    return [file_digest(path) for path in declared_files(source, facts.files)]


def image_shape(facts: Facts, card: Card, options: Options) -> tuple[int, int, int]:
    """Return (H, W, C): the command line's size, else the model's, else the data card's; one channel unless it asks."""
    size = options.image_size or (facts.image_shape[:2] if facts.image_shape else None) or card.image_size
    return (size[0], size[1], facts.image_shape[2] if facts.image_shape else 1)


@dataclass(frozen=True, slots=True)
class _Found:
    """A model as it is found, before its data are read.

    Args:
        name: As given to ``--model``.
        source: Where it comes from.
        facts: What it declares.
        file: The model file, where it had to be imported.
        shape: The images (H, W, C) that it is given.
    """

    name: str
    source: Source
    facts: Facts
    file: ModelFile | None
    shape: tuple[int, int, int]


def ready(name: str, card: Card, options: Options, store: Store, *, train: bool = True) -> Candidate:
    """Make a model ready to be judged; it is trained at most once.

    Args:
        name: As given to ``--model``.
        card: The data.
        options: The rest of the command line.
        store: Where weights are kept.
        train: Whether training is allowed here; a worker process expects to find the weights.

    Raises:
        ModelError, DataError, ArgumentError: With one sentence on what to do.
    """
    found = _find(name, card, options, store)
    splits = _read_data(found, card, options, store)
    candidate = _make(found, splits, _recipe(found.facts, card, options), options, store)
    _provide_weights(candidate, name, train=train)
    return candidate


def _find(name: str, card: Card, options: Options, store: Store) -> _Found:
    """Find a model, what it declares and the image shape it is given."""
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
    """Read the data at the size of the model, and refuse options that do not go with both."""
    splits = read_splits(card, image_shape=found.shape, cache=store.root / "pixels", store=store)
    _check_options(found.name, found.source, options, splits.classes)
    return splits


def _make(found: _Found, splits: Splits, recipe: Recipe, options: Options, store: Store) -> Candidate:
    """Make the candidate, still without weights."""
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
    """Find the weights or train them; a model that loads itself is loaded once, to see that it can be."""
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
    """Return the model's recipe, as the data card changes it (its epochs are a limit), as the command line says."""
    declared = Recipe(**facts.recipe)
    try:
        recipe = declared.replace(**card.recipe)
    except ArgumentError as error:
        raise DataError(f"data card '{card.name}': {error}") from None
    epochs = options.epochs if options.epochs is not None else min(recipe.epochs, declared.epochs)
    return recipe.replace(epochs=epochs)


def _load_once(candidate: Candidate) -> None:
    """Load a ready model the first time it is seen, so that what is wrong with it is said before any test."""
    key = digest(candidate.source.fingerprint, _digests(candidate.source, candidate.facts))
    if candidate.store.find_json("loaded", key) is None:
        _ = candidate.model
        note_undeclared(candidate)
        candidate.store.put_json("loaded", key, {})


def note_undeclared(candidate: Candidate) -> None:
    """Remember what a model file has read without declaring it: from now on nothing of this model is reused."""
    if set(candidate.undeclared) != set(candidate.facts.undeclared):
        candidate.facts = dataclasses.replace(candidate.facts, undeclared=candidate.undeclared)
        candidate.salt = candidate.options.run_id
        _keep_facts(candidate.source, candidate.store, candidate.facts)


def forget(candidate: Candidate) -> None:
    """Remove weights that no other run may use."""
    if candidate.salt and candidate.origin == "trained here" and candidate.weights is not None:
        for suffix in (".keras", ".json"):
            candidate.weights.with_suffix(suffix).unlink(missing_ok=True)


def weights_key(candidate: Candidate) -> str:
    """Return the key of the weights: everything that training depends on."""
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
            vars(candidate).pop("model", None)  # it is loaded anew from the weights
        record = {"history": history, "probe": probe.tolist(), "sha256": file_digest(path)}
        store.put_json("weights", key, record)
        backup.unlink(missing_ok=True)
        candidate.seconds["training"] = time.perf_counter() - started
        _take(candidate, key)


def _notes(candidate: Candidate) -> dict[str, object]:
    """Return what a weights artefact says of itself."""
    task = candidate.task
    return {"model": candidate.name, "classes": list(task.classes), "image_shape": list(task.image_shape)}


def _check_notes(candidate: Candidate, path: Path) -> None:
    """Refuse an artefact that says it is another model, or for another task."""
    found = keras_archive.notes(path)
    shape = found.get("image_shape")
    remedies = {
        "model": f"pass --model {found.get('model')}",
        "classes": "judge it on data of those classes",
        "image_shape": "pass --image-size {}x{}".format(*(shape if isinstance(shape, list) else [0, 0])[:2]),
    }
    for name, wanted in _notes(candidate).items():
        if name in found and found[name] != wanted:
            told = name.replace("_", " ")
            raise ArgumentError(f"--weights {path}: its {told} is {found[name]}, not {wanted}; {remedies[name]}")


def save_weights(candidate: Candidate, path: Path) -> None:
    """Write what a candidate has learned as an artefact, atomically."""
    candidate.backend.save(path, _notes(candidate))


def _take(candidate: Candidate, key: str) -> bool:
    """Take stored weights, where they are there and whole."""
    path = candidate.store.path("weights", key, ".keras")
    record = candidate.store.find_json("weights", key)
    if record is None or not path.is_file() or file_digest(path) != record["sha256"]:
        return False
    candidate.weights, candidate.origin, candidate.history = path, "trained here", record["history"]
    candidate.probe = np.array(record["probe"], dtype=np.float32)
    return True


def _train(candidate: Candidate, backup: Path) -> tuple[History, Probabilities]:
    """Build and train the live model; return its curves and its answers on the probe rows."""
    file, backend, task = candidate.file, candidate.backend, candidate.task
    if file is None:
        raise ModelError(f"model '{candidate.name}': nothing to train")
    candidate.model = backend.build(lambda: file.call("build", task), task, candidate.facts.positive)
    with candidate.watched():
        history = backend.train(candidate.streams, candidate.recipe, backup=backup)
    images = candidate.splits.test.take(candidate.probe_rows())
    return history, candidate.predict(images)
