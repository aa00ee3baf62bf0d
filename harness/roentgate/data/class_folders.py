"""Class folders: the images of a tree ``train/<class>/*``, ``test/<class>/*`` in order.

A faulty tree is refused with a message that names the fault and the remedy.
"""

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from roentgate.data.decoders import formats, is_image
from roentgate.errors import DataError

SplitName = Literal["train", "validation", "test"]
VALIDATION_SHARE = 0.2
"""Share of each class's train images that is taken for validation.

It is taken from the head, as by Keras, if there is no ``validation/``.
"""

_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini"})
RIGHT_ROOT = "or pass --data with the right root"


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The files of one split.

    Attributes:
        folder: The folder whose sub-folders are the classes. A validation split taken from train has train's.
        rows: The images of each class, in class order, as POSIX paths relative to the data root.
        ignored: Other files, as such paths.
    """

    folder: Path
    rows: tuple[tuple[str, ...], ...]
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A tree of class folders.

    Attributes:
        name: The data set's name.
        root: The folder that holds ``train/`` and ``test/``.
        expected: The classes the data card promises, or None.
    """

    name: str
    root: Path
    expected: tuple[str, ...] | None = None

    def refusal(self, sentence: str, split: str | None = None) -> DataError:
        """Return the error that names this data set and split.

        Args:
            sentence: The fault and the remedy.
            split: The split at fault, or None.
        """
        place = f", split {split}" if split else ""
        return DataError(f"data {self.name!r}{place}: {sentence}")

    def patients(self, split: SplitName, ids: Iterable[str], pattern: str) -> tuple[str, ...]:
        """Return the patient of each row, the first group of ``pattern`` in its path.

        Raises:
            DataError: The pattern finds none in a path.
        """
        found = []
        for row in ids:
            match = re.search(pattern, row)
            if match is None or match[1] is None:
                fault = f"group pattern {pattern!r} finds no patient in {row!r}; correct it in the card"
                raise self.refusal(fault, split)
            found.append(match[1])
        return tuple(found)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The sorted folder names of train.

        Raises:
            DataError: There is no root, no train folder, fewer than two classes, or others than expected.
        """
        classes = _subfolders(self._entries(self._split_folder("train")))
        same_names = differing_in_form(classes, classes)
        if same_names:
            fault, remedy = f"class folders {listed(same_names)} differ only in case or Unicode form", "merge them"
        elif len(classes) < 2:
            fault = f"at least two class folders are needed (found: {listed(classes)})"
            remedy = "lay the images out as train/<class>/* and test/<class>/*"
        elif self.expected not in (None, classes):
            fault = f"class folders {listed(classes)} are not those of the card ({listed(self.expected or ())})"
            remedy = f"restore them, {RIGHT_ROOT}"
        else:
            return classes
        raise self.refusal(f"{fault}; {remedy}", "train")

    def listings(self) -> dict[SplitName, Listing]:
        """Return the listing of every split.

        Without ``validation/``, the first ``int(0.2 n)`` train images of each class are the validation rows.

        Raises:
            DataError: A split or class folder is missing, extra or empty, a class is too small to take validation
                images from, a folder cannot be read, or a link is broken.
        """
        train, test = self._listing("train"), self._listing("test")
        if self._has_validation():
            return {"train": train, "validation": self._listing("validation"), "test": test}
        rest, carved = self._carved(train)
        return {"train": rest, "validation": carved, "test": test}

    def _split_folder(self, split: SplitName) -> Path:
        if not self.root.is_dir():
            fault = "is not a folder" if self.root.exists() else "does not exist"
            remedy = f"pass --data {self.name}=PATH with the folder that holds train/ and test/"
            raise self.refusal(f"root {str(self.root)!r} {fault}; {remedy}")
        folder = self.root / split
        if not folder.is_dir():
            found = listed(_subfolders(self._entries(self.root)))
            fault = f"folder {split}/ is missing in {str(self.root)!r} (found: {found})"
            raise self.refusal(f"{fault}; lay the images out as {split}/<class>/*, {RIGHT_ROOT}", split)
        return folder

    def _has_validation(self) -> bool:
        for name in _subfolders(self._entries(self.root)):
            if name != "validation" and name.casefold() in ("val", "valid", "validation"):
                raise self.refusal(f"folder {name!r} would not be read; rename it to 'validation', or move it away")
        return (self.root / "validation").is_dir()

    def _listing(self, split: SplitName) -> Listing:
        folder = self._split_folder(split)
        entries = self._entries(folder)
        self._compare_classes(split, _subfolders(entries))
        ignored = [f"{split}/{entry.name}" for entry in entries if not entry.is_dir()]
        rows = tuple(self._class_rows(split, label, ignored) for label in self.classes)
        return Listing(folder=folder, rows=rows, ignored=tuple(sorted(ignored)))

    def _compare_classes(self, split: SplitName, found: tuple[str, ...]) -> None:
        missing = [name for name in self.classes if name not in found]
        extra = [name for name in found if name not in self.classes]
        same_names = differing_in_form(missing, extra)
        if same_names:
            fault = f"class folders {listed(same_names)}, of train and of {split}, differ only in case or Unicode form"
            raise self.refusal(f"{fault}; give them the same name", split)
        if missing:
            fault = f"class folder {missing[0]!r} is missing (found: {listed(found)})"
            raise self.refusal(f"{fault}; restore it, {RIGHT_ROOT}", split)
        if extra:
            fault = f"class folder {extra[0]!r} is not one of train's ({listed(self.classes)})"
            raise self.refusal(f"{fault}; remove it, or add it to train, {RIGHT_ROOT}", split)

    def _class_rows(self, split: SplitName, label: str, ignored: list[str]) -> tuple[str, ...]:
        above = frozenset(os.path.realpath(folder) for folder in (self.root, self.root / split))
        found: list[tuple[str, str]] = []
        others: list[str] = []
        for folder, name in self._walk(f"{split}/{label}", above, others):
            row = f"{folder}/{name}"
            if any("\ud800" <= character <= "\udfff" for character in row):
                raise self.refusal(f"the name of {row!r} is not UTF-8; rename it", split)
            if is_image(self.root / row):
                found.append((folder, name))
            else:
                others.append(row)
        if not found:
            other_files = f" ({len(others)} other files, such as {others[0]!r})" if others else ""
            remedy = f"add {formats()} images, or remove the class from every split"
            raise self.refusal(f"class folder {label!r} holds no image{other_files}; {remedy}", split)
        ignored.extend(others)
        return tuple(f"{folder}/{name}" for folder, name in sorted(found))

    def _walk(self, folder: str, above: frozenset[str], ignored: list[str]) -> Iterator[tuple[str, str]]:
        """Yield (folder, name) of every regular file below a folder.

        A link back to a folder above it is ignored.
        """
        real = os.path.realpath(self.root / folder)
        if real in above:
            ignored.append(folder)
            return
        for entry in self._entries(self.root / folder):
            if entry.is_dir():
                yield from self._walk(f"{folder}/{entry.name}", above | {real}, ignored)
            elif entry.is_file():
                yield folder, entry.name
            else:
                ignored.append(f"{folder}/{entry.name}")

    def _entries(self, folder: Path) -> list["os.DirEntry[str]"]:
        """Return the entries of a folder that are not hidden.

        Raises:
            DataError: The folder cannot be read, or a link is broken.
        """
        try:
            with os.scandir(folder) as entries:
                shown = [e for e in entries if not e.name.startswith(".") and e.name.casefold() not in _SYSTEM_FILES]
        except OSError as error:
            fault = f"folder {str(folder)!r} cannot be read ({error.strerror})"
            raise self.refusal(f"{fault}; check its permissions") from error
        for entry in shown:
            if entry.is_symlink() and not os.path.exists(entry.path):
                raise self.refusal(f"link {entry.path!r} leads nowhere; restore what it leads to, or remove it")
        return shown

    def _carved(self, train: Listing) -> tuple[Listing, Listing]:
        """Return train without its first images of each class, and these."""
        heads = [int(VALIDATION_SHARE * len(rows)) for rows in train.rows]
        for label, rows, head in zip(self.classes, train.rows, heads, strict=True):
            if head == 0:
                fault = f"class {label!r} has {len(rows)} images, too few to carve a validation split of 20 % from"
                raise self.refusal(f"{fault}; add images (5 at least), or a folder validation/", "train")
        rest = tuple(rows[head:] for rows, head in zip(train.rows, heads, strict=True))
        carved = tuple(rows[:head] for rows, head in zip(train.rows, heads, strict=True))
        return (
            Listing(folder=train.folder, rows=rest, ignored=train.ignored),
            Listing(folder=train.folder, rows=carved),
        )


def _subfolders(entries: Iterable["os.DirEntry[str]"]) -> tuple[str, ...]:
    return tuple(sorted(entry.name for entry in entries if entry.is_dir()))


def differing_in_form(first: Iterable[str], second: Iterable[str]) -> tuple[str, ...]:
    """Return two names that differ only in case or Unicode form.

    Args:
        first: Names.
        second: Names that are compared with the first.

    Returns:
        One name of each, or an empty tuple if there is no such pair.
    """
    forms = {_form(name): name for name in first}
    return next(((forms[_form(name)], name) for name in second if forms.get(_form(name), name) != name), ())


def _form(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def listed(names: Sequence[str]) -> str:
    """Return at most eight names for a message, and how many more there are.

    Characters that cannot be printed are escaped.
    """
    shown = ", ".join(repr(name)[1:-1] for name in names[:8])
    return (f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown) or "none"
