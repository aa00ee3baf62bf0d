"""Manifests: CSV files with a line for each image.

A line holds the image's class and, if known, its split, patient, source and mask.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import get_args

from roentgate.code_key import code_digest
from roentgate.data.card import Card
from roentgate.data.class_folders import RIGHT_ROOT, SplitName, differing_in_form, listed
from roentgate.data.splitting import CannotDivideError, Item, divide
from roentgate.errors import DataError, did_you_mean
from roentgate.store import Store, atomic, digest, file_digest

SPLITS: tuple[SplitName, ...] = get_args(SplitName)

_LONGEST_LABEL = 200
_DIALECTS = {";": "';'", "\t": "tabs", "|": "'|'"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One image of a manifest.

    Attributes:
        path: Relative to the card's ``images``.
        label: Its class.
        split: Its split. None if the harness has to make it.
        group: Its patient, or None.
        source: Its origin, or None.
        mask: Its mask, relative to the data root, or None.
        line: Its line in the file, or 0 if it does not come from a file.
    """

    path: str
    label: str
    split: str | None = None
    group: str | None = None
    source: str | None = None
    mask: str | None = None
    line: int = 0


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A CSV file whose first line names the columns.

    It is in UTF-8, with or without a byte-order mark, and separated by commas. Other dialects are refused, because a
    wrong guess on one line would move an image to another class. Blanks around a value, empty lines and unknown columns
    are ignored.

    Attributes:
        card: Names the file and its columns.
        root: The data root.
    """

    card: Card
    root: Path

    @property
    def file(self) -> Path:
        """The CSV file, which lies next to the card or below the data root."""
        return self.root / (self.card.manifest or "")

    @property
    def images(self) -> Path:
        """The folder that the paths are relative to."""
        return self.root / self.card.images

    def refusal(self, sentence: str, split: str | None = None, line: int | None = None) -> DataError:
        """Return the error that names this manifest, line and split.

        Args:
            sentence: The fault and the remedy.
            split: The split at fault, or None.
            line: The line at fault, or None.
        """
        place = f", line {line}" if line else ""
        place += f", split {split}" if split else ""
        return DataError(f"data {self.card.name!r}, manifest {str(self.card.manifest)!r}{place}: {sentence}")

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """The images by class, then by folder, then by file name.

        This is the order of class folders. No image is read.

        Raises:
            DataError: The file cannot be read, lacks a column, or has a wrong line. The message names the line.
        """
        seen: dict[str, int] = {}
        rows = []
        for row in self._parsed():
            if row.path in seen:
                fault = f"path {row.path!r} stands in line {seen[row.path]} already"
                raise self.refusal(f"{fault}; remove one of the lines", line=row.line)
            seen[row.path] = row.line
            rows.append(row)
        if not rows:
            raise self.refusal("holds no image; add a line for each")
        return tuple(sorted(rows, key=lambda row: (row.label, *row.path.rpartition("/"))))

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The sorted labels.

        Raises:
            DataError: As from `rows`, or there are fewer than two classes, or others than the card's.
        """
        classes = tuple(sorted({row.label for row in self.rows}))
        same_names = differing_in_form(classes, classes)
        if same_names:
            fault, remedy = f"labels {listed(same_names)} differ only in case or Unicode form", "write them alike"
        elif len(classes) < 2:
            fault, remedy = f"at least two classes are needed (found: {listed(classes)})", "add images of another one"
        elif self.card.classes not in (None, classes):
            fault = f"labels {listed(classes)} are not the classes of the card ({listed(self.card.classes or ())})"
            remedy = f"correct one of the two, {RIGHT_ROOT}"
        else:
            return classes
        raise self.refusal(f"{fault}; {remedy}")

    def divided(self, store: Store | None) -> dict[SplitName, tuple[Row, ...]]:
        """Return the rows of each split, in the order of `rows`.

        A column or ``test_sources`` gives the split. Splits that these leave open are made and kept in the store.

        Args:
            store: Keeps the splits made as ``splits/<key>.csv``, which is a manifest itself. None keeps nothing.

        Raises:
            DataError: As from `classes`, or an image or a mask is missing, a class is missing in a split, or no
                division gives every split every class.
        """
        _ = self.classes  # refuses wrong labels before images are looked for
        self._check_files()
        given, shares = self._given()
        splits = given if len(given) == len(self.rows) else self._found_or_made(given, shares, store)
        return {name: tuple(row for row in self.rows if splits[row.path] == name) for name in SPLITS}

    def _given(self) -> tuple[dict[str, SplitName], dict[SplitName, float]]:
        """Return the given splits, and the shares of those to be made.

        The latter are made from the images without a given split.
        """
        shares = dict(zip(SPLITS, self.card.split_shares, strict=True))
        rest: dict[SplitName, float] = {name: shares[name] for name in ("train", "validation")}
        has_column = self.rows[0].split is not None
        if self.card.test_sources is not None:
            if has_column:
                fault = f"has a column {self.card.columns.split!r}, and the card names 'test_sources'"
                raise self.refusal(f"{fault}; remove one of the two")
            return self._of_sources(self.card.test_sources), rest
        if not has_column:
            return {}, shares
        given: dict[str, SplitName] = {row.path: name for row in self.rows for name in SPLITS if row.split == name}
        self._check_classes(given, [name for name in SPLITS if name != "validation" or name in given.values()])
        if "validation" in given.values():
            return given, {}
        return {path: name for path, name in given.items() if name != "train"}, rest

    def _of_sources(self, names: tuple[str, ...]) -> dict[str, SplitName]:
        known = sorted({row.source for row in self.rows if row.source is not None})
        if not known:
            fault = "'test_sources' of the card needs a column that says where an image comes from"
            raise self.refusal(f"{fault}; add one, 'source', or name it in the card: columns = {{ source = ... }}")
        for name in names:
            if name not in known:
                fault = f"no image is of source {name!r}, which 'test_sources' names"
                raise self.refusal(f"{fault}; {did_you_mean(name, known)}")
        if set(known) == set(names):
            raise self.refusal("'test_sources' names every source; leave one for train and validation")
        given: dict[str, SplitName] = {row.path: "test" for row in self.rows if row.source in names}
        self._check_classes(given, ["test"])
        tested = {row.group: row for row in self.rows if row.path in given and row.group is not None}
        for row in self.rows:
            if row.path not in given and row.group in tested:
                fault = (
                    f"group {row.group!r} has images of {tested[row.group].source!r}, a test source, and {row.source!r}"
                )
                raise self.refusal(f"{fault}; give two patients two names, or leave one's images out", line=row.line)
        return given

    def _found_or_made(
        self, given: Mapping[str, SplitName], shares: Mapping[SplitName, float], store: Store | None
    ) -> dict[str, SplitName]:
        if store is None:
            return self._made(given, shares)
        key = self._key()
        path = store.path("splits", key, ".csv")
        with store.lock("splits", key):
            record = store.find_json("splits", key)
            if record is not None and path.is_file() and file_digest(path) == record["sha256"]:
                return self._read(path)
            splits = self._made(given, shares)
            write_rows(path, self.rows, splits)
            store.put_json("splits", key, {"sha256": file_digest(path)})
        return splits

    def _key(self) -> str:
        card = self.card
        manifest = [file_digest(self.file), card.columns.names(), card.group, card.test_sources]
        return digest(manifest, card.split_seed, card.split_shares, code_digest(__name__))[:32]

    def _read(self, path: Path) -> dict[str, SplitName]:
        """Return stored splits from a file that is unchanged since."""
        with path.open(encoding="utf-8", newline="") as file:
            stored = {line["path"]: line["split"] for line in csv.DictReader(file)}
        return {row.path: name for row in self.rows for name in SPLITS if stored[row.path] == name}

    def _made(self, given: Mapping[str, SplitName], shares: Mapping[SplitName, float]) -> dict[str, SplitName]:
        images = [
            Item(path=row.path, label=row.label, group=row.group, source=row.source)
            for row in self.rows
            if row.path not in given
        ]
        total = sum(shares.values())
        missing = sorted(set(self.classes) - {image.label for image in images})
        if missing:
            raise self.refusal(f"class {missing[0]!r} has no image that is not of a test source; add some", "train")
        try:
            made = divide(images, {name: share / total for name, share in shares.items()}, seed=self.card.split_seed)
        except CannotDivideError as error:
            raise self.refusal(f"{error}; add images, or say the splits in a column 'split'") from None
        return {**given, **made}

    def _check_classes(self, given: Mapping[str, SplitName], names: Sequence[SplitName]) -> None:
        for name in names:
            found = {row.label for row in self.rows if given.get(row.path) == name}
            for label in self.classes:
                if label not in found:
                    fault = f"class {label!r} has no image (found: {listed(sorted(found))})"
                    raise self.refusal(f"{fault}; add some, or remove the class from every split", name)

    def _check_files(self) -> None:
        for row in self.rows:
            if not (self.images / row.path).is_file():
                fault = f"image {row.path!r} is missing in {str(self.images)!r}"
                raise self.refusal(f"{fault}; restore it or remove the line, {RIGHT_ROOT}", line=row.line)
            if row.mask is not None and not (self.root / row.mask).is_file():
                fault = f"mask {row.mask!r} of image {row.path!r} is missing"
                raise self.refusal(f"{fault}; restore it, or drop the column", line=row.line)

    def _parsed(self) -> Iterator[Row]:
        """Yield the lines as rows, in the order of the file.

        Raises:
            DataError: The file cannot be read, lacks a column, or has a wrong line.
        """
        lines = self._lines()
        _, header = next(lines, (1, []))
        columns = self._columns(header)
        for line, cells in lines:
            if len(cells) != len(header):
                fault = f"has {len(cells)} values for {len(header)} columns"
                raise self.refusal(f"{fault}; put quotes around a value that holds a comma", line=line)
            values = {key: cells[index] for key, index in columns.items()}
            for key, value in values.items():
                if not value:
                    remedy = "fill it in, or remove the line" + ("" if key in ("path", "label") else " or the column")
                    raise self.refusal(f"column {header[columns[key]]!r} is empty; {remedy}", line=line)
            yield self._row(values, line)

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the number and the values of every line that is not empty."""
        if not self.root.is_dir():
            fault = "is not a folder" if self.root.exists() else "does not exist"
            remedy = f"pass --data {self.card.name}=PATH with the folder that holds the images"
            raise self.refusal(f"root {str(self.root)!r} {fault}; {remedy}")
        number = 0
        try:
            with self.file.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.reader(file, strict=True)
                for cells in reader:
                    number = reader.line_num
                    if any(cell.strip() for cell in cells):
                        yield number, [cell.strip() for cell in cells]
        except OSError as error:
            fault = f"cannot be read in {str(self.root)!r} ({error.strerror})"
            raise self.refusal(f"{fault}; restore it, {RIGHT_ROOT}") from error
        except UnicodeDecodeError as error:
            raise self.refusal(f"is not UTF-8 (byte {error.start}); save it as UTF-8") from error
        except csv.Error as error:
            raise self.refusal(f"is not CSV ({error}); correct it", line=number + 1) from error

    def _columns(self, header: Sequence[str]) -> dict[str, int]:
        """Return the position of each property in a line."""
        for separator, name in _DIALECTS.items():
            if len(header) == 1 and separator in header[0]:
                raise self.refusal(f"is separated by {name}; save it with commas", line=1)
        for name in header:
            if header.count(name) > 1:
                raise self.refusal(f"column {name!r} stands twice; rename or remove one", line=1)
        wanted = self.card.columns.names()
        for key, name in wanted.items():
            if name not in header:
                self._refuse_missing(key, name, [column for column in header if column not in wanted.values()])
        return {key: header.index(name) for key, name in wanted.items() if name in header}

    def _refuse_missing(self, key: str, name: str, unread: Sequence[str]) -> None:
        """Refuse a header that lacks a required column or misspells an optional one.

        Args:
            key: The property.
            name: The name of its column.
            unread: The other columns of the header.

        Raises:
            DataError: The column is required, or an unread one has a similar name.
        """
        remedy = f"rename it, or name it in the card: columns = {{ {key} = ... }}"
        if self.card.columns.demands(key):
            hint = did_you_mean(name, [column for column in unread if column])
            raise self.refusal(f"column {name!r} is missing ({hint}); {remedy}", line=1)
        close = get_close_matches(name, [column.casefold() for column in unread], n=1, cutoff=0.8)
        for column in unread:
            if column.casefold() in close:
                raise self.refusal(f"column {column!r} would not be read as {name!r}; {remedy}", line=1)

    def _row(self, values: Mapping[str, str], line: int) -> Row:
        label, split = values["label"], values.get("split")
        if not _can_be_a_folder(label):
            fault = f"label {label!r} cannot be the name of a folder"
            raise self.refusal(
                f"{fault}; write it without slashes, odd blanks or a leading dot, in at most 200 bytes", line=line
            )
        if split is not None and split not in SPLITS:
            raise self.refusal(f"split {split!r} is unknown; {did_you_mean(split, SPLITS)}", line=line)
        path, mask = self._inside(values["path"], line), values.get("mask")
        return Row(
            path=path,
            label=label,
            split=split,
            group=values.get("group") if self.card.group is None else self._patient(path, self.card.group, line),
            source=values.get("source"),
            mask=None if mask is None or self.card.masks is not None else self._inside(mask, line),
            line=line,
        )

    def _inside(self, path: str, line: int) -> str:
        """Return a path in its shortest form.

        Raises:
            DataError: The path leaves its folder, or holds a backslash or a control character.
        """
        plain = PurePosixPath(path)
        if "\\" in path or any(character < " " or character == "\x7f" for character in path):
            raise self.refusal(f"path {path!r} holds a backslash or a control sign; write it with '/'", line=line)
        if plain.is_absolute() or ".." in plain.parts or not plain.parts:
            fault = f"path {path!r} leads out of the folder it is relative to"
            raise self.refusal(f"{fault}; write it relative to the data root, without '..'", line=line)
        return str(plain)

    def _patient(self, path: str, pattern: str, line: int) -> str:
        match = re.search(pattern, path)
        if match is None or match[1] is None:
            fault = f"group pattern {pattern!r} finds no patient in {path!r}"
            raise self.refusal(f"{fault}; correct it in the card", line=line)
        return match[1]


def write_rows(file: Path, rows: Iterable[Row], splits: Mapping[str, SplitName] | None = None) -> None:
    """Write rows as a manifest with the default column names.

    Columns that are unknown for any row are left out.

    Args:
        file: Replaced as a whole.
        rows: The rows, in the order to be written.
        splits: The split of each path. None takes it from the rows.

    Raises:
        ArgumentError: The folder cannot be written to.
    """
    columns = [each.name for each in fields(Row) if each.name != "line"]
    table: dict[str, list[str | None]] = defaultdict(list)
    for row in rows:
        for name in columns:
            table[name].append(splits[row.path] if splits is not None and name == "split" else getattr(row, name))
    known = [name for name in columns if None not in table[name]]
    with atomic(file) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(known)
        writer.writerows(zip(*(table[name] for name in known), strict=True))


def _can_be_a_folder(label: str) -> bool:
    named = label.isprintable() and not label.startswith(".") and not {"/", "\\"} & set(label)
    return named and len(label.encode()) <= _LONGEST_LABEL
