"""What an image file says of itself: its bytes, its format, its header.

The pixels are left to `roentgate.data.images`, and what a format is to `roentgate.data.decoders`.
"""

import hashlib
import io
from dataclasses import asdict, dataclass
from pathlib import Path

from roentgate.data.decoders import Description, opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Header(Description):
    """What can be read of an image without decoding it.

    Attributes:
        digest: SHA-256 of the file's bytes.
        size: Bytes of the file.
    """

    digest: str
    size: int


def read_header(path: Path) -> Header:
    """Read a file once and return what its header says.

    Raises:
        DataError: It cannot be read, no decoder fits it, or its header is damaged.
    """
    with opened(path, fault="cannot be read") as (decoder, file):
        content = file.read()
        said = decoder.header(io.BytesIO(content))
        return Header(digest=hashlib.sha256(content).hexdigest(), size=len(content), **asdict(said))
