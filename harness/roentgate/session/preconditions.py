"""Checks of a run that come before any training."""

from collections.abc import Mapping
from pathlib import Path

from roentgate.candidates import Candidate, Options, find_model
from roentgate.errors import ArgumentError
from roentgate.session.settings import Settings, folder_name
from roentgate.store import Store


def check_options(settings: Settings) -> None:
    """Raise `ArgumentError` for options that do not go together."""
    if settings.options.weights and len(settings.models) > 1:
        raise ArgumentError("--weights goes with a single --model")
    if settings.options.weights and settings.seeds > 1:
        raise ArgumentError(f"--seeds {settings.seeds}: with --weights, which trains nothing, give 1")
    if settings.seeds > 1 and (ready := [name for name in settings.models if name.endswith((".keras", ".h5"))]):
        raise ArgumentError(f"--seeds {settings.seeds}: {ready[0]} is trained already; name a model that is built")
    by_folder: dict[str, str] = {}
    for name in settings.models:
        other = by_folder.setdefault(folder_name(name), name)
        if other != name:
            raise ArgumentError(
                f"--model {other} and --model {name}: both reports would go to the folder '{folder_name(name)}'; "
                "rename one file, or judge them in two runs with their own --report-dir"
            )


def check_imports(name: str, options: Options, made: Mapping[str, Candidate]) -> None:
    """Refuse a model whose local imports clash with those of another model.

    Python keeps one module a name, so the second model would get the module of the first.

    Args:
        name: As given to ``--model``.
        options: Where models are found, and which formats are trusted.
        made: The models that are ready in this process, by name.

    Raises:
        ArgumentError: Both import a module of the same name from different files.
        ModelError: There is no such model.
    """
    source = find_model(name, options.models, trust=options.trust)
    for other, candidate in made.items():
        taken = candidate.source.modules
        for module, path in source.modules.items():
            if taken.get(module, path) != path:
                raise ArgumentError(
                    f"--model {other} and --model {name}: each imports a '{module}' of its own ({taken[module]}, "
                    f"{path}); rename one, or judge them in two runs"
                )


def check_follows_seed(name: str, options: Options, root: Path | None, store: Store) -> None:
    """Refuse to judge several seeds of a model that ignores the seed.

    A loaded model may still follow ``task.seed``, for instance by reading weights that belong to the seed.

    Args:
        name: As given to ``--model``.
        options: Where models are found, and which formats are trusted.
        root: The data root.
        store: Keeps what a model file declares.

    Raises:
        ArgumentError: The model is loaded, and none of its sources reads a seed.
        ModelError: There is no such model, or it cannot be imported.
    """
    from roentgate.candidates import training

    source = find_model(name, options.models, trust=options.trust)
    facts, _ = training.find_facts(source, root, store)
    if facts.kind != "build" and not source.reads_seed:
        raise ArgumentError(
            f"model '{name}': it is loaded, not trained, and no source of it was found to read task.seed, so that "
            "every seed is the same model; judge it without --seeds"
        )
