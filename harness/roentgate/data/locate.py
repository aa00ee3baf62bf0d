"""Finds the store and the data card that a command names."""

import os
from pathlib import Path

from roentgate.code_key import code_digest
from roentgate.data.card import Card, find_card
from roentgate.errors import ArgumentError
from roentgate.store import Store

STORE = ".roentgate"


def open_store(root: Path) -> Store:
    """Return the project's store.

    It is ``.roentgate/``, or the folder that ROENTGATE_STORE names.
    """
    return Store(Path(os.environ.get("ROENTGATE_STORE") or root / STORE))


def open_card(spec: str, folder: Path, store: Store) -> Card:
    """Return the data card of ``--data SPEC``, with a root.

    A generated data set is first drawn into the store.

    Raises:
        ArgumentError: No card or folder has this name, or the card names an unknown generator or variant.
        DataError: The card is not valid.
        HarnessError: The data set cannot be drawn.
    """
    from roentgate.data import phantom

    if spec in phantom.VARIANTS and not (folder / f"{spec}.toml").is_file():
        card = phantom.card(spec)
    else:
        card = find_card(spec, folder)
    if card.generator is None:
        return card
    if card.generator != "phantom" or (card.variant or "phantom") not in phantom.VARIANTS:
        raise ArgumentError(
            f"data '{card.name}': unknown generator '{card.generator}', variant '{card.variant}'; "
            f"known: phantom with {', '.join(phantom.VARIANTS)}"
        )
    variant = card.variant or "phantom"
    root = store.root / "data" / f"{variant}-{code_digest('roentgate.data.phantom')[:12]}"
    if not root.is_dir():
        with store.lock("data", root.name):
            if not root.is_dir():
                phantom.write(root, variant=variant)
    return card.model_copy(update={"root": root, "generator": None})
