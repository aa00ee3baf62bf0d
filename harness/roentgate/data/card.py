"""Data cards: TOML files that describe data sets.

A card says what a data set is, where it lies and how its images are read.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from roentgate.data.images import Interpolation
from roentgate.data.study import Study
from roentgate.errors import ArgumentError, DataError, did_you_mean

Side = Annotated[int, Field(ge=8, le=4096)]
Share = Annotated[float, Field(gt=0, lt=1)]
Column = Annotated[str, Field(min_length=1)]

MANIFEST = "manifest.csv"
"""Name of the manifest in a folder that has no card and no ``train/``."""


class Columns(BaseModel):
    """The column names of a manifest.

    Attributes:
        path: The image, relative to the card's ``images``.
        label: The class.
        split: ``train``, ``validation`` or ``test``. Without this column the harness makes the splits.
        group: The patient.
        source: The origin of the image: a hospital, a scanner.
        mask: The image's mask, relative to the data root.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Column = "path"
    label: Column = "label"
    split: Column = "split"
    group: Column = "group"
    source: Column = "source"
    mask: Column = "mask"

    @model_validator(mode="after")
    def _each_its_own(self) -> "Columns":
        names = [getattr(self, key) for key in Columns.model_fields if self.demands(key)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"column {twice[0]!r} is named for two things; name another")
        return self

    def demands(self, key: str) -> bool:
        """Return whether a manifest must have this column.

        Required are path, label and all columns that the card names.
        """
        return key in ("path", "label") or key in self.model_fields_set

    def names(self) -> dict[str, str]:
        """Return the column that each property is read from.

        A default name that the card uses for another property is left out.
        """
        demanded = {key: getattr(self, key) for key in Columns.model_fields if self.demands(key)}
        others = {key: getattr(self, key) for key in Columns.model_fields if key not in demanded}
        return demanded | {key: name for key, name in others.items() if name not in demanded.values()}


class Anatomy(BaseModel):
    """Where the findings lie.

    Attributes:
        region: ``lungs``, or ``none`` if they do not lie in the lungs (effusion, an enlarged heart, devices). The
            checks that need lungs are then skipped, since a correct model would fail them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: Literal["lungs", "none"] = "lungs"


class Card(BaseModel):
    """The description of a data set.

    Its fields are the keys of ``data/NAME.toml``, except ``name``, which is the file's name.

    Attributes:
        name: Name of the data set, and of its folder under ``reports/``.
        title: One line for the scorecard.
        root: The folder that holds ``train/`` and ``test/``, or a manifest's images. In a card it is relative to the
            card's folder.
        generator: The program that draws the images (``phantom``) instead of a root.
        variant: Which of the generator's data sets.
        classes: The class folders, sorted. None reads them from ``train/``.
        normal: The class without a finding. None if there is none, or if its name says so (``Normal``).
        image_size: (height, width) in pixels that the images are resized to.
        interpolation: How they are resized.
        licence: The licence of the data, as their source states it.
        citation: What to cite.
        source: Where to get the data.
        group: A regular expression with one capture group that finds the patient in a row id. None if unknown.
        masks: Path of a row's mask below the root: ``{id}`` is the row id, ``{stem}`` the id without extension.
        lesion_masks: As ``masks``, for the known lesions of drawn images.
        anatomy: Where the findings lie.
        recipe: Training settings that replace the model's own for this data set.
        manifest: A CSV file with a line for each image, next to the card or below the root. None reads class folders.
        columns: The names of its columns.
        images: The folder that its paths are relative to, seen from the root.
        test_sources: Images of these sources are the test split. None leaves that to a column or to the harness.
        split_seed: Seed of the splits that the harness makes.
        split_shares: Their shares: train, validation, test.
        study: What is known of the patients, places, times and devices.
        prior_evaluations: Least number of models that are known to have been judged on the test images before the
            ledger began.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^\w[\w.-]*$")
    title: str = ""
    root: Path | None = None
    generator: str | None = None
    variant: str | None = None
    classes: tuple[str, ...] | None = None
    normal: str | None = None
    image_size: tuple[Side, Side] = (256, 256)
    interpolation: Interpolation = "nearest"
    licence: str = ""
    citation: str = ""
    source: str = ""
    group: str | None = None
    masks: str | None = None
    lesion_masks: str | None = None
    anatomy: Anatomy = Anatomy()
    recipe: dict[str, bool | int | float | str] = Field(default_factory=dict)
    manifest: Path | None = None
    columns: Columns = Columns()
    images: Path = Path()
    test_sources: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    split_seed: Annotated[int, Field(ge=0)] = 0
    split_shares: tuple[Share, Share, Share] = (0.6, 0.2, 0.2)
    study: Study = Study()
    prior_evaluations: Annotated[int, Field(ge=0, strict=True)] = 0

    @field_validator("classes")
    @classmethod
    def _sorted_classes(cls, classes: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if classes is not None and list(classes) != sorted(set(classes)):
            raise ValueError("class names must be sorted and differ, as their folders are")
        return classes

    @field_validator("group")
    @classmethod
    def _one_capture_group(cls, group: str | None) -> str | None:
        if group is None:
            return None
        try:
            captures = re.compile(group).groups
        except re.error as error:
            raise ValueError(f"not a regular expression ({error})") from error
        if captures != 1:
            raise ValueError(f"needs exactly one capture group, the patient; it has {captures}")
        return group

    @field_validator("masks", "lesion_masks")
    @classmethod
    def _names_the_row(cls, masks: str | None) -> str | None:
        if masks is not None and "{id}" not in masks and "{stem}" not in masks:
            raise ValueError("must contain {id} or {stem}, or every row would have the same mask")
        return masks

    @field_validator("split_shares")
    @classmethod
    def _one_whole(cls, shares: tuple[float, float, float]) -> tuple[float, float, float]:
        if abs(sum(shares) - 1) > 1e-9:
            raise ValueError(f"the shares of train, validation and test must sum to 1, not {sum(shares):g}")
        return shares

    @model_validator(mode="after")
    def _normal_is_a_class(self) -> "Card":
        if self.normal is not None and self.classes is not None and self.normal not in self.classes:
            raise ValueError(
                f"'normal' names {self.normal!r}, which is no class; {did_you_mean(self.normal, self.classes)}"
            )
        return self

    @model_validator(mode="after")
    def _one_origin(self) -> "Card":
        if self.root is not None and self.generator is not None:
            raise ValueError("'root' and 'generator' exclude one another")
        if self.manifest is not None and self.generator is not None:
            raise ValueError("'manifest' and 'generator' exclude one another")
        return self

    @model_validator(mode="after")
    def _manifest_for_its_keys(self) -> "Card":
        unused = [key for key in _MANIFEST_KEYS if key in self.model_fields_set]
        if self.manifest is None and unused:
            raise ValueError(f"'{unused[0]}' says how a manifest is read; name the file with 'manifest', or remove it")
        for key, column in (("group", "group"), ("masks", "mask")):
            if getattr(self, key) is not None and column in self.columns.model_fields_set:
                raise ValueError(f"'{key}' and 'columns.{column}' say the same thing; remove one")
        return self


_TABLES: Final[Mapping[str, type[BaseModel]]] = {"anatomy": Anatomy, "columns": Columns, "study": Study}
_MANIFEST_KEYS = ("columns", "images", "test_sources", "split_seed", "split_shares")


def find_card(spec: str, folder: Path) -> Card:
    """Return the card of ``--data SPEC``.

    Args:
        spec: One of three forms. ``NAME`` is a card of ``folder``. ``NAME=PATH`` is that card with another root, its
            generator unused. ``PATH`` is a tree of class folders, or images with a ``manifest.csv`` and no ``train/``.
            It is read as grayscale at 256x256 by nearest neighbour, and named after its folder. A card wins over a
            folder of the same name, for which ``./NAME`` can be written.
        folder: The folder of the cards.

    Raises:
        ArgumentError: No card and no folder has this name. The message lists the close names.
        DataError: The card is not valid. The message names the file and, for an unknown key, the nearest one.
    """
    cards = {file.stem: file for file in folder.glob("*.toml")}
    if spec in cards:
        return _read_card(cards[spec])
    name, equals, root = spec.partition("=")
    if equals and name in cards:
        if not root:
            raise ArgumentError(f"--data {spec}: no folder after '='; write {name}=PATH")
        return _read_card(cards[name]).model_copy(update={"root": Path(root).expanduser(), "generator": None})
    path = Path(spec).expanduser()
    names_a_path = "/" in spec and not equals  # a missing path is refused when it is read
    if spec and (path.is_dir() or names_a_path):
        has_manifest = (path / MANIFEST).is_file() and not (path / "train").is_dir()
        name = _folder_name(path)
        return Card(name=name, title=name, root=path, manifest=Path(MANIFEST) if has_manifest else None)
    raise ArgumentError(
        f"--data {spec!r}: neither a card in '{folder}' nor a folder with train/ and test/, or a {MANIFEST}; "
        f"{did_you_mean(name, cards)}"
    )


def _folder_name(path: Path) -> str:
    """Return a name for a folder without a card.

    It is a valid folder name on every system: letters, digits, ``_``, ``-`` and inner dots.
    """
    return re.sub(r"[^\w.-]+", "-", path.resolve().name).strip("-.") or "data"


def _read_card(file: Path) -> Card:
    try:
        with file.open("rb") as stream:
            table = tomllib.load(stream)
    except (OSError, ValueError) as error:
        raise DataError(f"data card '{file}': cannot be read as TOML ({error}); correct it") from error
    if "name" in table:
        raise DataError(f"data card '{file}': unknown key 'name'; a card is called after its file, so remove it")
    try:
        card = Card.model_validate({**table, "name": file.stem})
    except ValidationError as error:
        raise DataError(f"data card '{file}': {'; '.join(_complaints(error))}") from error
    resolved: dict[str, Path] = {}
    if card.root is not None:
        resolved["root"] = file.parent / card.root.expanduser()
    if card.manifest is not None and (near := file.parent / card.manifest.expanduser()).is_file():
        resolved["manifest"] = near.resolve()
    return card.model_copy(update=resolved)


def _complaints(error: ValidationError) -> list[str]:
    """Return the faults that pydantic found, key by key.

    An unknown key is named with the nearest known one.
    """
    complaints = []
    for fault in error.errors():
        key = ".".join(map(str, fault["loc"]))
        if fault["type"] == "extra_forbidden":
            known = _TABLES.get(str(fault["loc"][0]), Card).model_fields if len(fault["loc"]) > 1 else Card.model_fields
            complaints.append(f"unknown key '{key}'; {did_you_mean(str(fault['loc'][-1]), known)}")
        else:
            place = f"key '{key}': " if key else ""
            complaints.append(place + fault["msg"].removeprefix("Value error, "))
    return complaints
