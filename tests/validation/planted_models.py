"""Twins: small model files with one planted fault and the checks that must reject it, and sound ones of other kinds."""

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
    """What a model file says of itself.

    Attributes:
        name: As for ``--model``.
        says: Its fault, or what is particular about a sound one; one sentence.
        sound: Whether nothing is wrong with it.
        loaded: Whether its file brings it ready (``load``), so that nothing is trained.
        checks: Which checks must reject it; empty for a sound planted model, and for a fault that no check sees yet.
        data: The data set that shows the fault.
        diagnosis: Words that a row which rejects it must hold; of a fault that no check sees, the reason.
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
        """Whether this is a fault that no check sees yet."""
        return not (self.sound or self.checks)


def read_planted(name: str, path: Path) -> PlantedModel:
    """Return what the docstring of a model file says.

    Args:
        name: As for ``--model``; one that begins with ``sound.`` promises nothing.
        path: The file.

    Raises:
        ModelError: A faulty planted model's docstring lacks its promise; the message shows the form.
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
    """Return all planted models below the folder of model files: the faulty ones, then the sound ones, each sorted by
    name.

    Raises:
        ModelError: As `read_planted`.
    """
    names = sorted(model_names(models), key=lambda name: (name.startswith(SOUND), name))
    chosen = [name for name in names if name.startswith((FAULTY, SOUND))]
    return [read_planted(name, models.joinpath(*name.split(".")).with_suffix(".py")) for name in chosen]
