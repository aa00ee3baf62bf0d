"""Planted-fault models (positive controls) and sound models (negative controls).

The docstring of a planted-fault model names its fault and the checks that must reject it.
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from roentgate.candidates import model_names
from roentgate.errors import ModelError

Check = tuple[str, str]
"""(suite, check id)."""

FAULTY, SOUND = "known_bad.", "sound."
NOTHING = "nothing"
_PROMISE = re.compile(r"(\S[^\n]+\.)\n\nMust be rejected by: (.+?)\n(?:On: (\S+)\n)?Diagnosis: ([^\n]+)\n?", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedModel:
    """A control model, as the docstring of its file describes it.

    Attributes:
        name: As for ``--model``.
        says: One sentence: its fault, or what is particular about a sound model.
        sound: Whether nothing is wrong with it.
        loaded: Whether its file offers ``load``, so that nothing is trained.
        checks: The checks that must reject it. Empty for a sound model, and for a fault that is known to be missed.
        data: The data set that shows the fault.
        diagnosis: Words that the row of a rejecting check must hold. For a fault that no check sees, the reason.
    """

    name: str
    says: str
    sound: bool
    loaded: bool = False
    checks: tuple[Check, ...] = ()
    data: str = "phantom"
    diagnosis: str = ""

    @property
    def unseen(self) -> bool:
        """Whether this is a fault that is known to be missed."""
        return not (self.sound or self.checks)


def read_planted_model(name: str, path: Path) -> PlantedModel:
    """Return the control model that a file describes in its docstring.

    Args:
        name: As for ``--model``. A name that begins with ``sound.`` promises nothing.
        path: The file.

    Raises:
        ModelError: The docstring of a planted-fault model lacks its promise. The message shows the form.
    """
    tree = ast.parse(path.read_text("utf-8"))
    text = ast.get_docstring(tree) or ""
    loaded = any(isinstance(node, ast.FunctionDef) and node.name == "load" for node in tree.body)
    if name.startswith(SOUND):
        return PlantedModel(name=name, says=" ".join(text.split("\n\n")[0].split()), sound=True, loaded=loaded)
    found = _PROMISE.fullmatch(text)
    if found is None:
        raise ModelError(
            f"model '{name}' ({path.name}): its docstring must be the fault in one line, an empty line, "
            "'Must be rejected by: suite/check[, ...]' (or 'nothing'), perhaps 'On: DATA', and "
            "'Diagnosis: words of the scorecard'"
        )
    says, checks, data, diagnosis = found.groups()
    pairs = [] if checks == NOTHING else [entry.strip().partition("/") for entry in checks.split(",")]
    return PlantedModel(
        name=name,
        says=says,
        sound=False,
        loaded=loaded,
        checks=tuple((suite, check) for suite, _, check in pairs),
        data=data or "phantom",
        diagnosis=diagnosis,
    )


def read_planted_models(models: Path) -> list[PlantedModel]:
    """Return all control models below the folder of model files.

    Planted-fault models come first, then sound models, each sorted by name.

    Raises:
        ModelError: As `read_planted_model`.
    """
    names = sorted(model_names(models), key=lambda name: (name.startswith(SOUND), name))
    chosen = [name for name in names if name.startswith((FAULTY, SOUND))]
    return [read_planted_model(name, models.joinpath(*name.split(".")).with_suffix(".py")) for name in chosen]
