"""What each layer does to an image: which ones move it or waver at inference, which ones augment in training."""

import hashlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from harness.model import Images

FIXED = {"Resizing", "Rescaling", "CenterCrop", "RandomCrop", "Cropping2D", "ZeroPadding2D", "Normalization"}
"""Keras' own layers that scale, crop or pad every image in the same way at inference; they may change it."""

AUGMENTERS = {"AugMix", "CutMix", "MixUp", "RandAugment", "GaussianNoise"}
TRAINING_DRAWS = 8
LOOKS = 5
"""Runs in each way of calling: a flip that tosses one coin a batch stays unseen in 1 of 16 networks."""
CHANGED = 1e-4
"""Least difference, in shares of the image's range, that is an augmentation; rounding is less."""
ALIKE = 0.995
"""Least R^2 at which one image counts as an affine rescale of another."""

Way = Literal["predict", "call"]
"""``network.predict(images)``, or ``network(images)``, which leaves a ``block(x, training=True)`` of a graph in force.

Keras' own image layers train where nothing is said, so that ``network(images)`` augments whatever its author wrote.
That is not held against the author, whose own ``training=True`` is what is looked for.
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
    trains: bool
    learned: bool
    before: list[NDArray[Any]]
    given: list[str]
    after: list[NDArray[Any]] = field(default_factory=list)
    gave: list[str] = field(default_factory=list)
    inner: list["_Call"] = field(default_factory=list)


_Runs = list[list[_Call]]


def examine(network: Any, images: Images) -> tuple[list[LayerReport], str]:  # noqa: ANN401 - a keras.Model
    """Watch every layer of a network work on probe images, nested and custom ones included.

    Args:
        network: A Keras model of any kind: sequential, functional, subclassed.
        images: Asymmetric probe images (n, H, W, C) in the network's own input range.

    Returns:
        One report a layer that works at inference or declares an augmentation (the network is one of them), and a
        sentence on operations outside layers that move the image ("" where none does).
    """
    state = [(variable, variable.numpy()) for variable in network.variables]
    plain = _watch_often(network, images, set())
    told = _told_to_train(network)
    runs: dict[Way, _Runs] = {"predict": plain, "call": _watch_often(network, images, told) if told else plain}
    moving = {way: {id(call.layer) for run in seen for call in run if _moves(call)} for way, seen in runs.items()}
    wavering = {way: _wavering(seen) for way, seen in runs.items()}
    called = {id(call.layer): call for call in reversed(runs["predict"][0])}
    reports = [
        LayerReport(
            name=name,
            type=type(layer).__name__,
            moves=[way for way in runs if id(layer) in moving[way]],
            wavers=[way for way in runs if id(layer) in wavering[way]],
            augments=_augments(layer, called.get(id(layer)), images),
        )
        for layer, name in _named(network).items()
        if id(layer) in called or _declares(layer)
    ]
    for variable, value in state:
        variable.assign(value)
    stories = {way: _loose(seen[0], images) for way, seen in runs.items()}
    story = stories["predict"] or stories["call"]
    return reports, f"{story} under {' and '.join(way for way in runs if stories[way])}" if story else ""


def declared(reports: Sequence[LayerReport]) -> list[LayerReport]:
    """Return the reports of layers that declare an augmentation."""
    return [report for report in reports if report["augments"] is not None]


def _named(network: Any) -> dict[Any, str]:  # noqa: ANN401 - a keras.Model
    """Return the layers of a network, itself first, and their names; of augmentations, not what they are made of."""

    def inside(layer: Any, prefix: str) -> Iterator[tuple[Any, str]]:  # noqa: ANN401 - a Keras layer
        for inner in layer._layers:
            yield inner, prefix + inner.name
            if not _declares(inner):
                yield from inside(inner, f"{prefix}{inner.name}/")

    return {network: network.name, **dict(inside(network, ""))}


def _declares(layer: Any) -> bool:  # noqa: ANN401 - a Keras layer
    name = type(layer).__name__
    return name.startswith("Random") or name in AUGMENTERS or "Augment" in name


def _told_to_train(network: Any) -> set[Any]:  # noqa: ANN401 - a keras.Model
    """Return the layers that a graph calls with ``training=True``, other than by their default."""
    return {
        layer
        for layer in _named(network)
        for node in layer._inbound_nodes
        if node.arguments.kwargs.get("training") is True and _training_default(layer) is not True
    }


def _training_default(layer: Any) -> object:  # noqa: ANN401 - a Keras layer
    """Return the default of the ``training`` argument of a layer's ``call``; `inspect.Parameter.empty` without one."""
    parameter = inspect.signature(layer.call).parameters.get("training")
    return inspect.Parameter.empty if parameter is None else parameter.default


def _watch_often(network: Any, images: Images, told: set[Any]) -> _Runs:  # noqa: ANN401 - a keras.Model
    return [_watch(network, images, told) for _ in range(LOOKS)]


def _watch(network: Any, images: Images, told: set[Any]) -> list[_Call]:  # noqa: ANN401 - a keras.Model
    """Return what each layer was given and gave in one run over the images, in the order in which layers began."""
    recorder = _Recorder(told)
    with ExitStack() as restored:
        for layer in _named(network):
            vars(layer)["call"] = recorder.recorded(layer)
            restored.callback(vars(layer).pop, "call")
        if network._call_has_training_arg:  # as keras.Model.predict asks
            network(images, training=False)
        else:
            network(images)
    return recorder.calls


class _Recorder:
    """Stands between layers and their ``call`` methods, and notes what goes in and out.

    Args:
        told: Layers that train at inference too, with all that is inside them.
    """

    def __init__(self, told: set[Any]) -> None:
        self.calls: list[_Call] = []
        self._told = told
        self._open: list[_Call] = []
        self._learned = False

    def recorded(self, layer: Any) -> Callable[..., Any]:  # noqa: ANN401 - a Keras layer
        """Return the layer's ``call``, noted."""
        original = layer.call

        def call(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever the layer takes and gives
            trains = layer in self._told or (bool(self._open) and self._open[-1].trains)
            if trains and layer._call_has_training_arg:
                options["training"] = True
            entry = self._enter(layer, [*arguments, *options.values()], trains=trains)
            outputs = original(*arguments, **options)
            entry.gave, entry.after = self._note(outputs)
            self._open.pop()
            return outputs

        return call

    def _enter(self, layer: Any, inputs: list[Any], *, trains: bool) -> _Call:  # noqa: ANN401 - a Keras layer
        given, before = self._note(inputs)
        self._learned = self._learned or bool(layer._trainable_variables)  # its own ones, frozen or not
        entry = _Call(layer, trains, self._learned, before, given)
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


def _wavering(runs: _Runs) -> set[int]:
    """Return the ids of the layers that give one thing and then another for the same input: the innermost only."""
    first, *later = runs
    culprits = set()
    for run in later:
        differing = set()
        for one, other in reversed(list(zip(first, run, strict=False))):
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
        if not call.inner:
            known.update(call.gave)
            candidates += [after for after in call.after if after.ndim == 4]
    return ""


def _augments(layer: Any, call: _Call | None, images: Images) -> bool | None:  # noqa: ANN401 - a Keras layer
    """Return whether training mode changes the image; None where nothing is declared, or after the first weight."""
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
    """Whether every output channel is, bit for bit, one of the input channels, or the image was only flattened."""
    if after.ndim == 2 and len(before) == len(after):
        return _same(before.reshape(len(before), -1), after)
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
    inside, corner = _trim(target)
    place = corner if target.shape == source.shape else None
    if _fit(source, inside, place) >= ALIKE:
        return ""
    stories = {
        "flips the image left to right": source[:, ::-1],
        "flips the image upside down": source[::-1],
        "turns the image by 180 degrees": source[::-1, ::-1],
        "turns the image by 90 degrees": np.rot90(source),
        "turns the image by 270 degrees": np.rot90(source, 3),
        "blurs the image": ndimage.gaussian_filter(source, 2.0),
        "shifts the image": _shifted(source, inside),
    }
    fits = {story: _fit(image, inside, place) for story, image in stories.items()}
    best = max(fits, key=lambda story: fits[story])
    return best if fits[best] >= 0.9 else "changes the image by more than crop, pad, resize and rescale"


def _trim(image: NDArray[np.float64]) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Cut a constant frame (padding) off; return the inside and where its corner lay."""
    rows = np.flatnonzero(np.ptp(image, axis=1) > 0)
    columns = np.flatnonzero(np.ptp(image, axis=0) > 0)
    if not len(rows) or not len(columns):
        return image, (0, 0)
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], (int(rows[0]), int(columns[0]))


def _fit(source: NDArray[np.float64], target: NDArray[np.float64], place: tuple[int, int] | None) -> float:
    """Return the best R^2 of target against an allowed picture of the source: itself resized, or a crop of it.

    Args:
        source: (H, W).
        target: (h, w).
        place: Where the crop must lie, of an image that keeps its size (elsewhere is a shift); None for anywhere.
    """
    height, width = target.shape
    fits = [0.0]
    if height <= source.shape[0] and width <= source.shape[1]:
        top, left = place or _best_crop(source, target)
        fits.append(_r2(source[top : top + height, left : left + width], target))
    zoom = (height / source.shape[0], width / source.shape[1])
    for order in () if target.shape == source.shape else (0, 1, 3):
        resized = ndimage.zoom(source, zoom, order=order, grid_mode=True, mode="nearest")
        fits.append(_r2(resized, target))
    return max(fits)


def _best_crop(source: NDArray[np.float64], target: NDArray[np.float64]) -> tuple[int, int]:
    """Return the top left corner of the crop of the source that correlates best with the target."""
    kernel = target - target.mean()
    ones = np.ones_like(target)
    sums, squares = (signal.fftconvolve(values, ones, mode="valid") for values in (source, source**2))
    spread = np.maximum(squares - sums**2 / target.size, 1e-9)
    matches = signal.fftconvolve(source, kernel[::-1, ::-1], mode="valid") ** 2 / spread
    top, left = np.unravel_index(int(matches.argmax()), matches.shape)
    return int(top), int(left)


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
