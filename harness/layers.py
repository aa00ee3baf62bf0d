"""What each layer does to an image at inference: which ones move it, which ones waver, which ones augment in training."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from harness.model import Images

FIXED = {"Resizing", "Rescaling", "CenterCrop", "RandomCrop", "Cropping2D", "ZeroPadding2D", "Normalization"}
"""Keras' own layers that scale, crop or pad every image in the same way at inference; they may change it."""

AUGMENTERS = {"AugMix", "CutMix", "MixUp", "RandAugment", "GaussianNoise"}
TRAINING_DRAWS = 8
CHANGED = 1e-4
"""Least difference, in shares of the image's range, that is an augmentation; rounding is less."""
ALIKE = 0.995
"""Least R^2 at which one image counts as an affine rescale of another."""

Way = Literal["predict", "call"]
"""``network.predict(images)``, or ``network(images)``, which leaves a ``layer(x, training=True)`` of a graph in force.

Keras' image layers train by default where nobody says otherwise; that is not held against a network.
"""


class LayerReport(TypedDict):
    """One layer seen on the probe images.

    ``moves``: ways of calling ("predict", "call") under which it changed its input although it must not.
    ``wavers``: ways of calling under which its output changed from call to call.
    ``augments``: None where it declares no augmentation, else whether training mode changes the image.
    """

    name: str
    type: str
    moves: list[Way]
    wavers: list[Way]
    augments: bool | None


@dataclass(eq=False)
class _Call:
    """One layer at work; the arrays are kept up to the first trainable weight only, their digests always."""

    layer: Any
    learned: bool
    before: list[NDArray[Any]]
    given: list[str]
    after: list[NDArray[Any]] = field(default_factory=list)
    gave: list[str] = field(default_factory=list)
    inner: list["_Call"] = field(default_factory=list)


def examine(network: Any, images: Images) -> tuple[list[LayerReport], str]:  # noqa: ANN401 - a keras.Model
    """Watch every layer of a network work on probe images, nested and custom ones included.

    Args:
        network: A Keras model of any kind: sequential, functional, subclassed.
        images: Asymmetric probe images (n, H, W, C) in the network's own input range.

    Returns:
        One report a layer that works at inference or declares an augmentation (the network is one of them), and a
        sentence on operations outside layers that move the image ("" where none does).
    """
    ways: tuple[Way, ...] = get_args(Way)
    runs = {way: (_watch(network, images, way), _watch(network, images, way)) for way in ways}
    moving = {way: {id(call.layer) for call in first if _moves(call)} for way, (first, _) in runs.items()}
    wavering = {way: _wavering(first, second) for way, (first, second) in runs.items()}
    called = {id(call.layer): call for call in reversed(runs["predict"][0])}
    reports = [
        LayerReport(
            name=name,
            type=type(layer).__name__,
            moves=[way for way in ways if id(layer) in moving[way]],
            wavers=[way for way in ways if id(layer) in wavering[way]],
            augments=_augments(layer, called.get(id(layer)), images),
        )
        for layer, name in _named(network).items()
        if id(layer) in called or _declares(layer)
    ]
    stories = [f"{story} under {way}" for way, (first, _) in runs.items() if (story := _loose(first, images))]
    return reports, " and ".join(stories)


def declared(reports: Sequence[LayerReport]) -> list[LayerReport]:
    """Return the reports of layers that declare an augmentation."""
    return [report for report in reports if report["augments"] is not None]


def _named(network: Any) -> dict[Any, str]:  # noqa: ANN401 - a keras.Model
    """Return the layers of a network, itself first, and their names; what an augmentation is made of is its own affair."""

    def inside(layer: Any, prefix: str) -> Iterator[tuple[Any, str]]:  # noqa: ANN401 - a Keras layer
        for inner in layer._layers:  # noqa: SLF001 - Keras' public walk is flat
            yield inner, prefix + inner.name
            if not _declares(inner):
                yield from inside(inner, f"{prefix}{inner.name}/")

    return {network: network.name, **dict(inside(network, ""))}


def _declares(layer: Any) -> bool:  # noqa: ANN401 - a Keras layer
    name = type(layer).__name__
    return name.startswith("Random") or name in AUGMENTERS or "Augment" in name


def _watch(network: Any, images: Images, way: Way) -> list[_Call]:  # noqa: ANN401 - a keras.Model
    """Return what each layer was given and gave in one run over the images, in the order in which layers began."""
    recorder = _Recorder()
    with ExitStack() as restored:
        for layer in _named(network):
            vars(layer)["call"] = recorder.recorded(layer, forgetful=way == "call" and layer is network)
            restored.callback(vars(layer).pop, "call")
        if network._call_has_training_arg:  # noqa: SLF001 - as keras.Model.predict asks
            network(images, training=False)
        else:
            network(images)
    return recorder.calls


class _Recorder:
    """Stands between layers and their ``call`` methods, and notes what goes in and out."""

    def __init__(self) -> None:
        self.calls: list[_Call] = []
        self._open: list[_Call] = []
        self._learned = False

    def recorded(self, layer: Any, *, forgetful: bool) -> Callable[..., Any]:  # noqa: ANN401 - a Keras layer
        """Return the layer's ``call``, noted; a forgetful one is not told that this is not training."""
        original = layer.call

        def call(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever the layer takes and gives
            if forgetful:
                options.pop("training", None)
            entry = self._enter(layer, [*arguments, *options.values()])
            outputs = original(*arguments, **options)
            entry.gave, entry.after = self._note(outputs)
            self._open.pop()
            return outputs

        return call

    def _enter(self, layer: Any, inputs: list[Any]) -> _Call:  # noqa: ANN401 - a Keras layer
        given, before = self._note(inputs)
        self._learned = self._learned or bool(layer._trainable_variables)  # noqa: SLF001 - its own, frozen ones included
        entry = _Call(layer, self._learned, before, given)
        if self._open:
            self._open[-1].inner.append(entry)
        self._open.append(entry)
        self.calls.append(entry)
        return entry

    def _note(self, values: Any) -> tuple[list[str], list[NDArray[Any]]]:  # noqa: ANN401 - tensors, however nested
        arrays = list(_arrays(values))
        return [_digest(array) for array in arrays], [] if self._learned else arrays


def _arrays(values: Any) -> Iterator[NDArray[Any]]:  # noqa: ANN401 - tensors, however nested
    if isinstance(values, (list, tuple)):
        for value in values:
            yield from _arrays(value)
    elif isinstance(values, dict):
        yield from _arrays(list(values.values()))
    elif hasattr(values, "numpy"):
        yield np.asarray(values)


def _digest(array: NDArray[Any]) -> str:
    return hashlib.sha256(f"{array.shape}{array.dtype}".encode() + array.tobytes()).hexdigest()


def _moves(call: _Call) -> bool:
    """Whether a layer without inner layers, before the first trainable weight, alters its image and may not."""
    fixed = type(call.layer).__name__ in FIXED and type(call.layer).__module__.startswith("keras.")
    if call.learned or call.inner or fixed or not call.before:
        return False
    return not all(any(_repeats_channels(before, after) for before in call.before) for after in call.after)


def _wavering(first: Sequence[_Call], second: Sequence[_Call]) -> set[int]:
    """Return the ids of the layers that give one thing and then another for the same input: the innermost only."""
    differing, culprits = set(), set()
    for one, other in reversed(list(zip(first, second, strict=False))):
        inside = any(inner in differing for inner in one.inner)
        if inside or (one.given == other.given and one.gave != other.gave):
            differing.add(one)
            culprits |= set() if inside else {id(one.layer)}
    return culprits


def _loose(calls: Sequence[_Call], images: Images) -> str:
    """Say how operations between layers, up to the first trainable weight, displace the image; "" where they do not."""
    known, candidates = {_digest(images)}, [images]
    for call in calls:
        for given, before in zip(call.given, call.before, strict=False):
            if given in known or before.ndim != 4:
                continue
            stories = [displaced(candidate, before) for candidate in candidates]
            if all(stories):
                return f"{stories[-1]} before layer {call.layer.name}"
            known.add(given)
            candidates.append(before)
        known.update(call.gave)
        candidates += [after for after in call.after if after.ndim == 4]
    return ""


def _augments(layer: Any, call: _Call | None, images: Images) -> bool | None:  # noqa: ANN401 - a Keras layer
    """Return whether training mode changes the image; None where none is declared, or for features instead of images."""
    if not _declares(layer) or (call is not None and not call.before):
        return None
    before = images if call is None else call.before[0]
    after = before if call is None else call.after[0]
    least = CHANGED * float(np.ptp(before))
    for _ in range(TRAINING_DRAWS):
        changed = np.asarray(layer(before, training=True))
        if changed.shape != after.shape or np.abs(changed - after).max() > least:
            return True
    return False


def _same(first: NDArray[Any], second: NDArray[Any]) -> bool:
    return first.shape == second.shape and bool(np.array_equal(first, second, equal_nan=True))


def _repeats_channels(before: NDArray[Any], after: NDArray[Any]) -> bool:
    """Whether every output channel is, bit for bit, one of the input channels."""
    if before.ndim != 4 or after.ndim != 4 or before.shape[:3] != after.shape[:3]:
        return _same(before, after)
    channels = range(before.shape[3])
    return all(any(_same(before[..., i], after[..., j]) for i in channels) for j in range(after.shape[3]))


def displaced(images: Images, outputs: NDArray[Any]) -> str:
    """Say how ``outputs`` displace the first of ``images``; "" where they only crop, pad, resize or rescale it.

    Args:
        images: Probe images (n, H, W, C).
        outputs: What became of them (n, h, w, c); anything else is not judged.
    """
    if outputs.ndim != 4 or outputs.shape[1] < 8 or outputs.shape[2] < 8:
        return ""
    source = np.asarray(images[0].mean(axis=-1), np.float64)
    target = np.asarray(outputs[0].mean(axis=-1), np.float64)
    target, offset = _trim(target)
    if max(_fit(source, target, offset)) >= ALIKE:
        return ""
    stories = {
        "flips the image left to right": source[:, ::-1],
        "flips the image upside down": source[::-1],
        "turns the image by 180 degrees": source[::-1, ::-1],
        "turns the image by 90 degrees": np.rot90(source),
        "turns the image by 270 degrees": np.rot90(source, 3),
        "blurs the image": ndimage.gaussian_filter(source, 2.0),
        "shifts the image": _shifted(source, target),
    }
    fits = {story: max(_fit(image, target, offset)) for story, image in stories.items()}
    best = max(fits, key=lambda story: fits[story])
    return best if fits[best] >= 0.9 else "changes the image by more than crop, pad, resize and rescale"


def _trim(image: NDArray[np.float64]) -> tuple[NDArray[np.float64], tuple[int, int] | None]:
    """Cut a constant frame (padding) off; return the inside and where it lay, or None where nothing was cut."""
    rows = np.flatnonzero(np.ptp(image, axis=1) > 0)
    columns = np.flatnonzero(np.ptp(image, axis=0) > 0)
    if not len(rows) or not len(columns):
        return image, None
    inside = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return inside, (int(rows[0]), int(columns[0])) if inside.shape != image.shape else None


def _fit(source: NDArray[np.float64], target: NDArray[np.float64], offset: tuple[int, int] | None) -> Iterator[float]:
    """Yield the R^2 of target against every allowed picture of the source: itself, resized, or a centred crop."""
    height, width = target.shape
    yield 0.0
    if offset is not None and offset[0] + height <= source.shape[0] and offset[1] + width <= source.shape[1]:
        yield _r2(source[offset[0] : offset[0] + height, offset[1] : offset[1] + width], target)
    if height <= source.shape[0] and width <= source.shape[1]:
        for top in {(source.shape[0] - height) // 2, (source.shape[0] - height + 1) // 2}:
            for left in {(source.shape[1] - width) // 2, (source.shape[1] - width + 1) // 2}:
                yield _r2(source[top : top + height, left : left + width], target)
    if target.shape != source.shape:
        zoom = (height / source.shape[0], width / source.shape[1])
        for order in (0, 1, 3):
            resized = ndimage.zoom(source, zoom, order=order, grid_mode=True, mode="nearest")
            if resized.shape == target.shape:
                yield _r2(resized, target)


def _shifted(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the source moved to where it correlates best with the target (whole pixels, wrapping around)."""
    if source.shape != target.shape:
        return source
    spectrum = np.fft.rfft2(source - source.mean()) * np.conj(np.fft.rfft2(target - target.mean()))
    peak = np.unravel_index(np.argmax(np.fft.irfft2(spectrum, source.shape)), source.shape)
    return np.roll(source, (-int(peak[0]), -int(peak[1])), axis=(0, 1))


def _r2(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    if first.shape != second.shape or not first.std() or not second.std():
        return 0.0
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1]) ** 2


def probe_images(films: Images) -> Images:
    """Return films with an asymmetric pattern added, so that any flip, turn or shift shows."""
    height, width = films.shape[1:3]
    rows, columns = np.mgrid[0:height, 0:width]
    pattern = 0.5 * rows / height + 0.3 * columns / width
    pattern[: height // 5, : width // 8] += 0.2
    mixed = 0.6 * films + 0.4 * pattern[None, :, :, None].astype(np.float32)
    return np.ascontiguousarray(mixed, dtype=np.float32)
