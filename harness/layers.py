"""What each layer does to an image at inference: which ones move it, which ones waver, which ones augment in training."""

from collections.abc import Iterator, Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from harness import keras_model
from harness.model import Images

FIXED = {"InputLayer", "Resizing", "Rescaling", "CenterCrop", "Cropping2D", "ZeroPadding2D", "Normalization"}
"""Layer types that scale or crop every image in the same way; they may change it at inference."""

AUGMENTERS = {"AugMix", "CutMix", "MixUp", "RandAugment", "GaussianNoise"}
TRAINING_DRAWS = 8
ALIKE = 0.995
"""Least R^2 at which one image counts as an affine rescale of another."""


class LayerReport(TypedDict):
    """One layer (or operation) seen on the probe images.

    ``moves``: ways of calling ("predict", "call") under which it changed its input although it must not.
    ``wavers``: ways of calling under which its output changed from call to call.
    ``augments``: None where it declares no augmentation, else whether training mode changes the image.
    """

    name: str
    type: str
    moves: list[str]
    wavers: list[str]
    augments: bool | None


def examine(network: Any, images: Images) -> tuple[list[LayerReport], str]:  # noqa: ANN401 - a keras.Model
    """Watch every layer of a network work on probe images, at inference and in training mode.

    Args:
        network: A Keras model; one without a graph (subclassed) is examined layer by layer.
        images: Asymmetric probe images (n, H, W, C) in the network's own input range.

    Returns:
        One report a layer, and a sentence on operations outside layers that move the image ("" where none does).
    """
    graph = getattr(network, "_functional", None) or network
    if not hasattr(graph, "_nodes_by_depth"):
        return list(_loose_layers(network, images)), ""
    return _examine_graph(network, graph, images, prefix="", training=None)


def _examine_graph(
    network: Any,  # noqa: ANN401 - a keras.Model
    graph: Any,  # noqa: ANN401 - its functional graph
    images: Images,
    *,
    prefix: str,
    training: bool | None,
) -> tuple[list[LayerReport], str]:
    nodes = [
        node
        for depth in sorted(graph._nodes_by_depth, reverse=True)  # noqa: SLF001 - Keras has no public walk over calls
        for node in graph._nodes_by_depth[depth]  # noqa: SLF001
        if not node.is_input and node.input_tensors
    ]
    if not nodes:
        return [], ""
    tensors = [tensor for node in nodes for tensor in (node.input_tensors[0], node.outputs[0])]
    watcher = keras_model.submodel(graph, tensors)
    seen = {
        "predict": [watcher.predict_on_batch(images) for _ in range(2)],
        "call": [[np.asarray(value) for value in watcher(images, training=training)] for _ in range(2)],
    }
    reports: list[LayerReport] = []
    story, loose, learning = "", False, False
    wavering: set[str] = set()
    for index, node in enumerate(nodes):
        layer = node.operation
        learning = learning or _learns(layer)
        before = {way: runs[0][2 * index] for way, runs in seen.items()}
        after = {way: runs[0][2 * index + 1] for way, runs in seen.items()}
        again = {way: (runs[1][2 * index], runs[1][2 * index + 1]) for way, runs in seen.items()}
        wavers = [
            way
            for way in seen
            if way not in wavering and _same(before[way], again[way][0]) and not _same(after[way], again[way][1])
        ]
        wavering.update(wavers)
        is_layer = hasattr(layer, "weights")
        loose = loose or (not is_layer and not learning)
        inner = _examine_nested(layer, before["call"], prefix, node) if keras_model.is_network(layer) else ([], "")
        reports.extend(inner[0])
        judged = is_layer and not learning and type(layer).__name__ not in FIXED and not inner[0]
        reports.append(
            LayerReport(
                name=prefix + layer.name,
                type=type(layer).__name__,
                moves=[way for way in seen if judged and not _repeats_channels(before[way], after[way])],
                wavers=[] if any(report["wavers"] for report in inner[0]) else wavers,
                augments=_augments(layer, before["predict"]) if is_layer and not learning and not inner[0] else None,
            )
        )
        story = story or inner[1]
        if loose and not learning:
            for way in seen:
                moved = displaced(images, after[way])
                story = story or (f"{prefix}{layer.name} ({way}): {moved}" if moved else "")
    return reports, story


def _examine_nested(layer: Any, images: Images, prefix: str, node: Any) -> tuple[list[LayerReport], str]:  # noqa: ANN401
    graph = getattr(layer, "_functional", None) or layer
    if not hasattr(graph, "_nodes_by_depth") or images.ndim != 4:
        return [], ""
    training = node.arguments.kwargs.get("training")
    return _examine_graph(layer, graph, images, prefix=f"{prefix}{layer.name}/", training=training)


def _loose_layers(network: Any, images: Images) -> Iterator[LayerReport]:  # noqa: ANN401 - a subclassed keras.Model
    """Report the layers of a network without a graph, each on the probe images, up to the first that learns."""
    for layer in network.layers:
        if _learns(layer):
            return
        once, twice = np.asarray(layer(images)), np.asarray(layer(images))
        fixed = type(layer).__name__ in FIXED
        yield LayerReport(
            name=layer.name,
            type=type(layer).__name__,
            moves=[] if fixed or _repeats_channels(images, once) else ["call"],
            wavers=[] if _same(once, twice) else ["call"],
            augments=_augments(layer, images),
        )


def _learns(layer: Any) -> bool:  # noqa: ANN401 - a layer or an operation
    """Whether a layer holds weights made to be trained, frozen or not (`Normalization`'s statistics are not)."""
    if not hasattr(layer, "weights"):
        return False
    flat = [layer, *keras_model.iterate(layer)] if keras_model.is_network(layer) else [layer]
    return any(inner._trainable_variables for part in flat for inner in part._flatten_layers())  # noqa: SLF001


def _same(first: NDArray[Any], second: NDArray[Any]) -> bool:
    return first.shape == second.shape and bool(np.array_equal(first, second, equal_nan=True))


def _repeats_channels(before: NDArray[Any], after: NDArray[Any]) -> bool:
    """Whether every output channel is, bit for bit, one of the input channels."""
    if before.ndim != 4 or after.ndim != 4 or before.shape[:3] != after.shape[:3]:
        return _same(before, after)
    channels = range(before.shape[3])
    return all(any(_same(before[..., i], after[..., j]) for i in channels) for j in range(after.shape[3]))


def _augments(layer: Any, images: Images) -> bool | None:  # noqa: ANN401 - a Keras layer
    name = type(layer).__name__
    if not (name.startswith("Random") or name in AUGMENTERS or "Augment" in name):
        return None
    return any(not _same(np.asarray(layer(images, training=True)), images) for _ in range(TRAINING_DRAWS))


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


def declared(reports: Sequence[LayerReport]) -> list[LayerReport]:
    """Return the reports of layers that declare an augmentation."""
    return [report for report in reports if report["augments"] is not None]
