"""Drawing of a network as a row of blocks.

The height of a block stands for its feature map, its depth for its channels.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from math import ceil, log2
from pathlib import Path
from typing import TYPE_CHECKING, Final

from roentgate.report.style import FAINT, INK, WIDTH, drawable, sheet
from roentgate.scorecard import TIMES, Layer, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PLAIN, _AUGMENTING, _VECTOR = "#7FB2D6", "#F4D58A", "#5B8DB8"
_PREPARING: Final = {"InputLayer", "Rescaling", "Normalization"}
_ONE_BY_ONE = 18
"""Networks with at most this many layers are drawn with one block per layer."""

_PER_ROW = 9
_TALLEST = 1.25  # inches
_TEXT = 0.155  # inches between two lines of text
_TYPES_NAMED = 3


@dataclass(frozen=True, slots=True)
class _Block:
    """One or several layers drawn as one block."""

    names: tuple[str, ...]
    shape: tuple[int | None, ...]  # None: any size
    parameters: int
    augments: bool


def architecture(layers: Sequence[Layer], path: Path) -> Path:
    """Draw the layers of a network from left to right.

    Blocks are labelled with type, output shape and weights, and augmentation is yellow. If there are more than 18
    layers, neighbours with the same size of feature map share a block.

    Args:
        layers: The layers in order, at least one.
        path: Path of the PNG.

    Returns:
        ``path``.
    """
    blocks = _blocks(layers)
    per_row = ceil(len(blocks) / ceil(len(blocks) / _PER_ROW))
    rows = [blocks[start : start + per_row] for start in range(0, len(blocks), per_row)]
    heights = [_TALLEST + 0.45 + _TEXT * max(len(_caption(block)) for block in row) for row in rows]
    tallest = max((block.shape[0] or 1 for block in blocks if len(block.shape) == 3), default=1)
    top = 0.5 + sum(heights)
    with sheet(path, height=top) as figure:
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, WIDTH), ylim=(0, top))
        axes.axis("off")
        title = f"{len(layers)} layers, {sum(layer['parameters'] for layer in layers):,} weights"
        axes.text(0.15, top - 0.25, title, fontsize=12, fontweight="bold", va="center")
        if any(block.augments for block in blocks):
            note = "yellow: augmentation, off at inference"
            axes.text(WIDTH - 0.15, top - 0.25, note, ha="right", va="center", color=FAINT)
        for index, row in enumerate(rows):
            _row(axes, row, sum(heights[index:]), (WIDTH - 0.3) / per_row, tallest)
    return path


def _blocks(layers: Sequence[Layer]) -> list[_Block]:
    learns = next(
        (index for index, layer in enumerate(layers) if layer["parameters"] and layer["type"] not in _PREPARING),
        len(layers),
    )
    single = [
        _Block(
            names=(layer["type"],),
            shape=tuple(layer["shape"]),
            parameters=layer["parameters"],
            augments=index < learns
            and layer["type"] not in _PREPARING
            and (layer["shape"] == layers[index - 1]["shape"] if index else layer["type"].startswith("Random")),
        )
        for index, layer in enumerate(layers)
    ]
    if len(single) <= _ONE_BY_ONE:
        return single
    by_size = [
        _joined(list(group)) for _, group in groupby(single, key=lambda block: (block.shape[:-1], block.augments))
    ]
    size = ceil(len(by_size) / (2 * _PER_ROW))
    return [_joined(by_size[start : start + size]) for start in range(0, len(by_size), size)]


def _joined(blocks: Sequence[_Block]) -> _Block:
    return _Block(
        names=tuple(name for block in blocks for name in block.names),
        shape=blocks[-1].shape,
        parameters=sum(block.parameters for block in blocks),
        augments=all(block.augments for block in blocks),
    )


def _row(axes: "Axes", blocks: Sequence[_Block], top: float, pitch: float, tallest: int) -> None:
    middle = top - 0.2 - _TALLEST / 2
    centres = [0.15 + pitch * (index + 0.5) for index in range(len(blocks))]
    for left, right in pairwise(centres):
        axes.plot([left, right], [middle, middle], color="#B8C0C8", linewidth=1.2, zorder=0)
    for at, block in zip(centres, blocks, strict=True):
        _block(axes, at, middle, block, tallest)
        for index, line in enumerate(_caption(block)):
            below = middle - _TALLEST / 2 - 0.2 - _TEXT * index
            weights = line.endswith(" weights")
            axes.text(at, below, line, ha="center", va="center", fontsize=7.8, color=FAINT if weights else INK)


def _caption(block: _Block) -> list[str]:
    """Return the lines below a block: its commonest types, shape and weights."""
    counts = Counter(block.names).most_common()
    lines = []
    for name, count in counts[:_TYPES_NAMED]:
        lines += _broken(f"{count}{TIMES}{name}" if count > 1 else name)
    if len(counts) > _TYPES_NAMED:
        lines.append(f"+ {len(counts) - _TYPES_NAMED} more types")
    sides = ("?" if side is None else str(side) for side in block.shape)
    lines.append(TIMES.strip().join(sides) or "shape unknown")
    return [*lines, f"{block.parameters:,} weights"] if block.parameters else lines


def _broken(name: str) -> list[str]:
    """Return a type's name in lines of about 15 characters.

    Lines are broken before capital letters.
    """
    lines = [""]
    for part in re.split(r"(?<=[a-z0-9])(?=[A-Z])", name):
        if lines[-1] and len(lines[-1]) + len(part) > 14:
            lines.append("")
        lines[-1] += part
    return [drawable(shorten(line, 17)) for line in lines]


def _block(axes: "Axes", x: float, y: float, block: _Block, tallest: int) -> None:
    from matplotlib.patches import Polygon

    spatial = len(block.shape) == 3
    units = (block.shape[-1] if block.shape else 1) or 1
    side = (
        max(0.07, _TALLEST * (block.shape[0] or tallest) / tallest)
        if spatial
        else min(_TALLEST, 0.25 + 0.06 * log2(units))
    )
    deep = 0.05 + 0.045 * log2(units) if spatial else 0.09
    slant = 0.16 * side if spatial else 0.03
    left, bottom = x - (deep + slant) / 2, y - side / 2
    colour = _AUGMENTING if block.augments else _PLAIN if spatial else _VECTOR
    front = [(left, bottom), (left + deep, bottom), (left + deep, bottom + side), (left, bottom + side)]
    lid = [front[3], front[2], (left + deep + slant, bottom + side + slant), (left + slant, bottom + side + slant)]
    wall = [front[1], (left + deep + slant, bottom + slant), lid[2], front[2]]
    for corners, shade in ((front, 1.0), (lid, 0.75), (wall, 0.55)):
        axes.add_patch(Polygon(corners, facecolor=colour, alpha=1, edgecolor=INK, linewidth=0.6))
        axes.add_patch(Polygon(corners, facecolor="black", alpha=(1 - shade) * 0.45, linewidth=0))
