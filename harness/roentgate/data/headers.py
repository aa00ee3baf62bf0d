"""Digest, format and header of an image file.

Pixels are read by `roentgate.data.images`. Formats are defined in `roentgate.data.decoders`.
"""

import hashlib
import io
from dataclasses import asdict, dataclass
from pathlib import Path

from roentgate.data.decoders import Description, opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Header(Description):
    """The properties of an image that need no decoding.

    Attributes:
        digest: SHA-256 of the file's bytes.
        size: Size of the file in bytes.
    """

    digest: str
    size: int


def read_header(path: Path) -> Header:
    """Read a file once and return its header.

    Raises:
        DataError: The file cannot be read, no decoder fits it, or its header is damaged.
    """
    with opened(path, fault="cannot be read") as (decoder, file):
        content = file.read()
        description = decoder.header(io.BytesIO(content))
        return Header(digest=hashlib.sha256(content).hexdigest(), size=len(content), **asdict(description))
