"""Measure the lung-field segmenter and how well it recognises wrong masks.

The results are written to reports/segmenter/ and to the model card. Run from the project's root, after
`models.segmenter.train`:

    python -m models.segmenter.measure PATH/TO/tb-lungs [--covid PATH/TO/covid19-dataset]
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, stats

from models.segmenter._images import Images, held_out, read_images
from models.segmenter._pictures import Compared, save_sheet, save_worst
from models.segmenter.train import weights_of
from roentgate import (
    WEIGHTS,
    Estimate,
    LungFields,
    Predict,
    Store,
    dice,
    doubted,
    file_digest,
    find_card,
    keras_backend,
    lung_fields,
    open_card,
    proportion,
    read_splits,
    segmented,
)

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "reports" / "segmenter"
CARD = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- figures: made by measure.py -->\n", "<!-- end of figures -->"

Number = dict[str, float | int | None]
"""An estimate in the record: value, low and high (None if undefined), n, and hits if they are counted."""


class Drawing(TypedDict):
    """An image whose mask is far from the human one, or is not trusted."""

    image: str
    dice: float
    reason: str


Agreement = TypedDict(
    "Agreement",
    {
        "dice": Number,
        "fifth percentile": float,
        "least": float,
        "least trusted": float | None,
        "below 0.90": Number,
        "trusted": Number,
        "distrusted": list[Drawing],
        "worst": list[Drawing],
    },
)

Answered = TypedDict(
    "Answered", {"trusted": Number, "dice": NotRequired[Number], "least trusted": NotRequired[float | None]}
)

OnDrawn = TypedDict("OnDrawn", {"dice": Number, "least": float, "least trusted": float | None, "trusted": Number})

Drawn = TypedDict("Drawn", {"own masks distrusted": Number, "segmenter": OnDrawn})


class Trusted(TypedDict):
    """Number of trusted masks in each class, and the reasons against the others."""

    trusted: dict[str, Number]
    reasons: dict[str, int]


class Distrusted(TypedDict):
    """Number of human masks that are distrusted, and the reasons."""

    distrusted: Number
    reasons: dict[str, str]


Metrics = TypedDict(
    "Metrics",
    {
        "weights": str,
        "dice": dict[str, Agreement],
        "own masks": dict[str, Distrusted],
        "planted masks": dict[str, Number],
        "strange inputs": dict[str, Answered],
        "phantom": Drawn,
        "covid19": NotRequired[Trusted],
    },
)

_SEED = 7
_BATCH = 32
_WORST = 5


def mean_estimate(values: NDArray[np.float64]) -> Estimate:
    """Return the mean of n numbers with its bootstrap interval.

    The interval is bias-corrected and accelerated (BCa).
    """
    interval = stats.bootstrap(
        (values,), np.mean, n_resamples=9999, method="BCa", rng=np.random.default_rng(_SEED)
    ).confidence_interval
    return Estimate(
        value=float(np.mean(values)), low=float(interval.low), high=float(interval.high), n=len(values), method="BCa"
    )


def figures_of(number: Estimate) -> Number:
    """Return an estimate for the record, with None for what is undefined."""
    interval = {"value": number.value, "low": number.low, "high": number.high}
    record: Number = {name: round(value, 4) if number.defined else None for name, value in interval.items()}
    return record | {"n": number.n} | ({} if number.hits is None else {"hits": number.hits})


def share(marks: Sequence[bool] | NDArray[np.bool_]) -> Number:
    """Return the share of marked rows, with the exact interval."""
    return figures_of(proportion(int(np.sum(marks)), len(marks)))


def answers(predict: Predict, images: NDArray[np.float32]) -> tuple[NDArray[np.bool_], list[str]]:
    """Return the masks of the segmenter for images (n, H, W), and the reasons against them."""
    parts = [segmented(predict, images[start : start + _BATCH, :, :, None]) for start in range(0, len(images), _BATCH)]
    return np.concatenate([masks for masks, _ in parts]), [reason for _, reasons in parts for reason in reasons]


def compared(predict: Predict, sample: Images) -> tuple[Agreement, NDArray[np.bool_]]:
    """Return the agreement of the segmenter with the human masks, and its masks."""
    masks, reasons = answers(predict, sample.images)
    scores = np.array([dice(*pair) for pair in zip(masks, sample.lungs, strict=True)])
    trusted = np.array([not reason for reason in reasons])
    order = np.argsort(scores)[:_WORST]
    record: Agreement = {
        "dice": figures_of(mean_estimate(scores)),
        "fifth percentile": round(float(np.quantile(scores, 0.05)), 4),
        "least": round(float(scores.min()), 4),
        "least trusted": round(float(scores[trusted].min()), 4) if trusted.any() else None,
        "below 0.90": share(scores < 0.9),
        "trusted": share(trusted),
        "distrusted": [
            {"image": sample.ids[row], "dice": round(float(scores[row]), 4), "reason": reasons[row]}
            for row in np.flatnonzero(~trusted)
        ],
        "worst": [
            {"image": sample.ids[row], "dice": round(float(scores[row]), 4), "reason": reasons[row]} for row in order
        ],
    }
    return record, masks


def against(predict: Predict, masks: NDArray[np.bool_], images: NDArray[np.float32]) -> list[str]:
    """Return the reasons against masks that came with images, "" for a trusted mask."""
    parts = [slice(start, start + _BATCH) for start in range(0, len(masks), _BATCH)]
    return [reason for part in parts for reason in doubted(predict, masks[part], images[part, :, :, None])]


def planted(predict: Predict, sample: Images) -> dict[str, Number]:
    """Return for each planted fault how often the wrong mask is recognised."""
    rng, lungs = np.random.default_rng(_SEED), sample.lungs
    shifts = {
        f"shifted by {size:.0%} {name}": (size * down, size * across)
        for size in (0.1, 0.15, 0.2)
        for name, (down, across) in {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}.items()
    }
    faults = {
        name: ndimage.shift(lungs.astype(np.uint8), (0, *np.round(np.array(by) * lungs.shape[1])), order=0) > 0
        for name, by in shifts.items()
    }
    faults |= {"empty": lungs & False, "full": lungs | True, "everything but the lungs": ~lungs}
    found = {
        name: share([bool(why) for why in against(predict, masks, sample.images)]) for name, masks in faults.items()
    }
    partners = rng.permutation(len(lungs))
    overlap = np.array([dice(*pair) for pair in zip(lungs, lungs[partners], strict=True)])
    doubted_partners = np.array([bool(why) for why in against(predict, lungs[partners], sample.images)])
    for low, high in ((0, 0.6), (0.6, 0.7), (0.7, 0.8)):
        found[f"another image's, Dice {low:.1f} to {high:.1f}"] = share(
            doubted_partners[(overlap >= low) & (overlap < high)]
        )
    found["on a blank image"] = share([bool(why) for why in against(predict, lungs, np.zeros_like(sample.images))])
    return found


def strange(predict: Predict, sample: Images) -> dict[str, Answered]:
    """Return how many answers on altered images, or on other pictures, are trusted.

    For altered images the Dice coefficients are given too.
    """
    from sklearn.datasets import load_sample_images

    rng = np.random.default_rng(_SEED)
    photographs = [photograph.mean(axis=2, dtype=np.float32) / 255 for photograph in load_sample_images().images]
    pieces = []
    for number in range(100):
        photograph, side = photographs[number % 2], int(rng.integers(200, 420))
        top, left = (int(rng.integers(0, length - side)) for length in photograph.shape)
        pieces.append(ndimage.zoom(photograph[top : top + side, left : left + side], 256 / side, order=1)[:256, :256])
    uniform = rng.random((100, 256, 256), dtype=np.float32)
    smooth = np.stack([ndimage.gaussian_filter(rng.standard_normal((256, 256)), 4 + i / 2) for i in range(100)])
    foreign = {
        "pieces of photographs": np.stack(pieces).astype(np.float32),
        "noise": uniform,
        "smooth noise": (smooth * 5 + 0.5).clip(0, 1).astype(np.float32),
        "blank": np.full((1, 256, 256), 0.5, np.float32),
    }
    found: dict[str, Answered] = {
        name: {"trusted": share([not reason for reason in answers(predict, images)[1]])}
        for name, images in foreign.items()
    }
    altered = {
        "inverted": (1 - sample.images, sample.lungs),
        "mirrored": (sample.images[:, :, ::-1], sample.lungs[:, :, ::-1]),
        "at half contrast": (sample.images / 2 + 0.25, sample.lungs),
        "at gamma 2": (sample.images**2, sample.lungs),
        "at gamma 1/2": (sample.images**0.5, sample.lungs),
        "upside down": (sample.images[:, ::-1], sample.lungs[:, ::-1]),
        "on its side": (sample.images.transpose(0, 2, 1), sample.lungs.transpose(0, 2, 1)),
    }
    for name, (images, lungs) in altered.items():
        record, _ = compared(predict, replace(sample, images=np.ascontiguousarray(images), lungs=lungs))
        found[name] = {
            "trusted": record["trusted"],
            "dice": record["dice"],
            "least trusted": record["least trusted"],
        }
    return found


def phantom(predict: Predict, store: Store) -> Drawn:
    """Return the results on drawn images, on which the segmenter was not trained.

    They are the share of the drawn masks that are distrusted, and the agreement of the segmenter with these masks.
    """
    card = open_card("phantom", ROOT / "data", store)
    splits = read_splits(card, image_shape=(96, 96, 1), cache=None)
    parts = [splits.train, splits.validation, splits.test]
    fields = [lung_fields(part, store) for part in parts]
    rows = np.arange(len(splits.test))
    images, lungs = splits.test.take(rows)[:, :, :, 0], fields[-1].take(rows)
    test = Images(splits.test.ids, np.array(["drawn"] * len(rows)), images, lungs)
    record, _ = compared(predict, test)
    return {
        "own masks distrusted": share(np.concatenate([~field.trusted for field in fields])),
        "segmenter": {
            "dice": record["dice"],
            "least": record["least"],
            "least trusted": record["least trusted"],
            "trusted": record["trusted"],
        },
    }


def covid(folder: Path, store: Store, sheet: Path | None) -> Trusted:
    """Return the share of trusted masks by class, and the reasons against the others.

    If ``sheet`` is a path, a figure of all masks is written to it.
    """
    card = find_card(f"covid19={folder}", ROOT / "data")
    splits = read_splits(card, image_shape=(256, 256, 1), cache=None)
    found: dict[str, list[str]] = {name: [] for name in splits.classes}
    shown: list[tuple[str, NDArray[np.float32], NDArray[np.bool_], str]] = []
    for part in (splits.train, splits.validation, splits.test):
        fields: LungFields = lung_fields(part, store)
        for row, (name, label, reason) in enumerate(zip(part.ids, part.labels, fields.reasons, strict=True)):
            found[splits.classes[label]].append(reason)
            if sheet is not None:
                shown.append((name, part.take([row])[0, :, :, 0], fields.take([row])[0], reason))
    if sheet is not None:
        save_sheet(sorted(shown, key=lambda image: (image[0].split("/")[1], not image[3], image[0])), sheet)
    kinds = Counter(reason.partition(":")[0] for reasons in found.values() for reason in reasons if reason)
    return {
        "trusted": {name: share([not reason for reason in reasons]) for name, reasons in found.items()},
        "reasons": dict(kinds.most_common()),
    }


def table(metrics: Metrics) -> str:
    """Return the tables of the model card, made from the record."""
    lines = [
        "| trained on | measured on | images | Dice | 5th percentile | least | least trusted | trusted |",
        "|" + "---|" * 8,
    ]
    for title, record in metrics["dice"].items():
        seen, tested = title.split(" on ")
        cells = (seen, tested, str(record["dice"]["n"]), _shown(record["dice"]))
        limits = (
            "none" if record[name] is None else f"{record[name]:.3f}"
            for name in ("fifth percentile", "least", "least trusted")
        )
        lines.append(f"| {' | '.join([*cells, *limits, _counted(record['trusted'])])} |")
    lines += ["", "| no lung field, or an altered image | answers trusted | Dice |", "|---|---|---|"]
    for name, answered in metrics["strange inputs"].items():
        agreement = _shown(answered["dice"]) if "dice" in answered else ""
        lines.append(f"| {name} | {_counted(answered['trusted'])} | {agreement} |")
    lines += ["", "| mask planted on a real image | found out |", "|---|---|"]
    lines += [f"| {name} | {_counted(found)} |" for name, found in metrics["planted masks"].items()]
    drawn, human = metrics["phantom"], metrics["own masks"]["tb-lungs"]
    lines += [
        "",
        f"Human masks distrusted: {_counted(human['distrusted'])}. Masks of drawn images distrusted: "
        f"{_counted(drawn['own masks distrusted'])}. Dice of the segmenter on drawn test images: "
        f"{_shown(drawn['segmenter']['dice'])}, {_counted(drawn['segmenter']['trusted'])} trusted.",
    ]
    if "covid19" in metrics:
        trusted = metrics["covid19"]["trusted"]
        shares = "; ".join(f"{name} {_counted(record)}" for name, record in trusted.items())
        lines += ["", f"Trusted on the Covid set: {shares}."]
    return "\n".join(lines) + "\n"


def _shown(number: Number) -> str:
    return f"{number['value']:.3f} [{number['low']:.3f}, {number['high']:.3f}]"


def _counted(number: Number) -> str:
    return f"{number['hits']} of {number['n']} ({number['value']:.1%})"


def with_figures(card: str, metrics: Metrics) -> str:
    """Return the model card with the tables made from the record."""
    head, rest = card.split(BEGIN)
    return head + BEGIN + "\n" + table(metrics) + "\n" + END + rest.split(END)[1]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the segmenter, and write the record, the figures and the tables of the card."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("images", type=Path, help="the folder of the tuberculosis images: images/, masks/, rows.csv")
    parser.add_argument("--covid", type=Path, help="the folder of the Covid set")
    parser.add_argument("--sheet", type=Path, help="draw all Covid images with their lung fields, not to be shared")
    parser.add_argument("--store", type=Path, default=ROOT / ".roentgate", help="where the trainings are kept")
    chosen = parser.parse_args(arguments)
    sample, store = read_images(chosen.images), Store(chosen.store)
    networks = {
        name: keras_backend.KerasModel(keras_backend.load_network(weights_of(name, chosen.store)), name).predict
        for name in ("both", "Shenzhen", "Montgomery")
    }
    unseen, site = held_out(sample), sample.sites
    tests = {
        "both on Shenzhen, held out": ("both", unseen & (site == "Shenzhen")),
        "both on Montgomery, held out": ("both", unseen & (site == "Montgomery")),
        "Shenzhen on Montgomery": ("Shenzhen", site == "Montgomery"),
        "Montgomery on Shenzhen": ("Montgomery", site == "Shenzhen"),
    }
    records: dict[str, Agreement] = {}
    shown: dict[str, list[Compared]] = {}
    for title, (name, rows) in tests.items():
        part = sample.of(rows)
        records[title], masks = compared(networks[name], part)
        shown[title] = [
            (part.images[at], part.lungs[at], masks[at], worst["dice"], worst["reason"])
            for worst in records[title]["worst"]
            for at in [part.ids.index(worst["image"])]
        ]
    reasons = np.zeros(len(sample.ids), object)  # by the network that was not trained on the hospital
    for name, tested in (("Shenzhen", "Montgomery"), ("Montgomery", "Shenzhen")):
        rows = site == tested
        reasons[rows] = against(networks[name], sample.lungs[rows], sample.images[rows])
    metrics: Metrics = {
        "weights": file_digest(WEIGHTS),
        "dice": records,
        "own masks": {
            "tb-lungs": {
                "distrusted": share([bool(why) for why in reasons]),
                "reasons": {name: why for name, why in zip(sample.ids, reasons, strict=True) if why},
            }
        },
        "planted masks": planted(networks["both"], sample.of(unseen)),
        "strange inputs": strange(networks["both"], sample.of(unseen)),
        "phantom": phantom(networks["both"], store),
    }
    if chosen.covid is not None:
        metrics["covid19"] = covid(chosen.covid, store, chosen.sheet)
    REPORT.mkdir(parents=True, exist_ok=True)
    (REPORT / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", "utf-8")
    save_worst(shown, REPORT / "worst.png")
    CARD.write_text(with_figures(CARD.read_text("utf-8"), metrics), "utf-8")


if __name__ == "__main__":
    main()
