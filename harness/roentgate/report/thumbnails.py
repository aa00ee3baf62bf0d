"""Small pictures of failing images, kept beside the record.

They are made when a scorecard is written. Rendering it again needs no images.
"""

import base64
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from pydantic import TypeAdapter, ValidationError

from roentgate.errors import HarnessError
from roentgate.scorecard import FAILING_SHOWN, Row, standing
from roentgate.store import atomic

if TYPE_CHECKING:
    from roentgate.data import Dataset

FILE: Final = "thumbnails.json"
_MOST: Final = 80
_MOST_BYTES: Final = 200_000
_SIDE: Final = 72
_PICTURES: Final = TypeAdapter(dict[str, bytes])


def wanted(rows: Iterable[Row]) -> list[str]:
    """Return the ids of the images to picture: the first failing ones of each row that is not accepted."""
    ids = (name for row in rows if standing(row) == "refused" for name in row["failing"][:FAILING_SHOWN])
    return list(dict.fromkeys(ids))[:_MOST]


def pictured(ids: Sequence[str], splits: Iterable["Dataset"]) -> dict[str, bytes]:
    """Return a small grey JPEG of each image, as far as it can be read and there is room."""
    places = {name: (split, index) for split in splits for index, name in enumerate(split.ids)}
    made: dict[str, bytes] = {}
    room = _MOST_BYTES
    for name in ids:
        if name in places:
            split, index = places[name]
            try:
                picture = _jpeg(split.take([index])[0])
            except HarnessError:  # an unreadable image is a row of its own
                continue
            room -= len(picture)
            if room < 0:
                break
            made[name] = picture
    return made


def write(pictures: Mapping[str, bytes], folder: Path) -> None:
    """Keep pictures beside a record, or remove those of an earlier one."""
    path = folder / FILE
    if not pictures:
        path.unlink(missing_ok=True)
        return
    plain = {name: base64.b64encode(picture).decode("ascii") for name, picture in pictures.items()}
    with atomic(path) as draft:
        draft.write_text(json.dumps(plain, indent=0, ensure_ascii=True) + "\n", "utf-8")


def read(folder: Path) -> dict[str, str]:
    """Return data URIs by image id. Without a file, or with a damaged one, there are none."""
    try:
        kept = _PICTURES.validate_json((folder / FILE).read_bytes())
        pictures = {name: base64.b64decode(text, validate=True) for name, text in kept.items()}
    except (OSError, ValidationError, ValueError):
        return {}
    return {
        name: f"data:image/jpeg;base64,{base64.b64encode(picture).decode('ascii')}"
        for name, picture in pictures.items()
        if picture.startswith(b"\xff\xd8")
    }


def _jpeg(pixels: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]") -> bytes:
    from PIL import Image

    grey = (255 * pixels.mean(axis=2)).round().clip(0, 255).astype(np.uint8)
    picture = Image.fromarray(grey)
    picture.thumbnail((_SIDE, _SIDE))
    stream = io.BytesIO()
    picture.save(stream, format="JPEG", quality=60, optimize=True)
    return stream.getvalue()
