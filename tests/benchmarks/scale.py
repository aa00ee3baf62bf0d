"""Cost of the survey and the duplicate search by number of images.

``python tests/benchmarks/scale.py [N ...]`` draws 1,000, 10,000 and 100,000 images into a temporary folder, 1 % of them
copies of others. It surveys them in a process that is killed half way, resumes the survey, and searches for duplicates.
Then it repeats both steps unchanged, and the survey with ten images changed. Every step runs in its own process, whose
peak memory is read. ``reports/audit-scale.md`` is written from the last run of each N. Wall time on a shared machine
varies, so compare ratios.
"""

import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import NotRequired, ParamSpec, TypedDict, TypeVar

from roentgate.process import one_thread

one_thread()  # before NumPy is imported, as in every run

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).resolve().parent / "duplicates"))

from inputs import TRANSFORMS, images_of, png  # type: ignore[import-not-found]

from roentgate.audit import near_duplicates
from roentgate.audit import scan as surveys
from roentgate.data import phantom, phantom_anatomy
from roentgate.data.card import Card
from roentgate.data.read_splits import read_splits
from roentgate.stats.estimate import proportion
from roentgate.store import Store

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "reports" / "audit-scale.md"
LAST = ROOT / ".roentgate" / "scale.json"
SIZES = (1_000, 10_000, 100_000)
SIDE = 256
PLANTED = (
    "exact copy",
    "JPEG q80",
    "JPEG q30",
    "resized x0.5",
    "contrast +20 %",
    "contrast -20 %",
    "cropped 2 % a side",
    "cropped 5 % a side",
    "mirrored",
)
BYTES_AN_IMAGE = 100_000  # its file, and its line in the database
LIMIT_GIB = 3.0
_CANVAS = 2048
_TEXTURE, _GRAIN = 5.0, 2.0  # grey levels


P = ParamSpec("P")
T = TypeVar("T")


class StepFigures(TypedDict):
    """Measurements of one step.

    ``images``: number of images. ``looked``: images that were read. ``seconds``: of each part. ``peak``: peak memory in
    GiB. A search adds three. ``pairs``: ids of the images found to be the same. ``likeness``: 5, 50 and 95 % quantiles
    of the similarity of each image and its nearest other image. ``almost``: highest detail similarity of images found
    to be different.
    """

    images: int
    looked: int
    seconds: dict[str, float]
    peak: float
    pairs: NotRequired[list[list[str]]]
    likeness: NotRequired[list[float]]
    almost: NotRequired[float]


Measured = TypedDict(
    "Measured",
    {
        "killed": int,
        "resumed": StepFigures,
        "search": StepFigures,
        "again": StepFigures,
        "changed": StepFigures,
        "planted": dict[str, int],
        "hits": dict[str, int],
        "false": list[tuple[str, ...]],
        "false count": int,
        "note": NotRequired[str],
    },
)
"""All measurements of a tree of one size."""


@cache
def _canvases() -> NDArray[np.float32]:
    """Return two fields of vessel-like texture, from which images take pieces."""
    white = np.random.default_rng(0).standard_normal((2, _CANVAS, _CANVAS)).astype(np.float32)
    fields = [ndimage.gaussian_filter(white, (0, blur, blur), mode="wrap") for blur in (2, 5)]
    scaled: NDArray[np.float32] = sum(field / field.std() for field in fields) * np.float32(_TEXTURE / 2)
    return scaled


def drawn(number: int) -> Image.Image:
    """Return a unique image: an enlarged phantom patient with texture and grain."""
    rng = np.random.default_rng(np.random.SeedSequence(0, spawn_key=(number,)))
    finding = phantom.FINDINGS[phantom.CLASSES[number % len(phantom.CLASSES)]]
    background = phantom_anatomy.Background("RLP"[number % 3], (bool(rng.integers(2)), bool(rng.integers(2))), None)
    chest = Image.fromarray(phantom_anatomy.draw(rng, finding, (0.45, 0.75), background).image)
    grey = np.asarray(chest.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32)
    for canvas in _canvases():
        top, left = rng.integers(_CANVAS - SIDE, size=2)
        grey = grey + canvas[top : top + SIDE, left : left + SIDE][:: rng.choice((-1, 1)), :: rng.choice((-1, 1))]
    grey = grey + _GRAIN * rng.standard_normal(grey.shape, dtype=np.float32)
    return Image.fromarray(np.clip(np.rint(grey), 0, 255).astype(np.uint8))


def draw(folder: Path, count: int) -> None:
    """Write a tree of ``count`` images, a fifth of them in test.

    1 % are copies of the first train images.
    """
    copies = count // 100
    for split in ("train", "test"):
        for label in phantom.CLASSES:
            (folder / split / label).mkdir(parents=True)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(partial(_write, folder, copies), range(count - copies), chunksize=50))
    planted = {}
    for number in range(copies):
        for path in (folder / "test" / phantom.CLASSES[number % 3]).glob(f"copy{number:06d}.*"):
            planted[str(path.relative_to(folder))] = [str(_place(number)), PLANTED[number % len(PLANTED)]]
    (folder / "planted.json").write_text(json.dumps(planted), "utf-8")


def _place(number: int, split: str = "train") -> Path:
    return Path(split, phantom.CLASSES[number % 3], f"{number:06d}.png")


def _write(folder: Path, copies: int, number: int) -> None:
    image = drawn(number)
    split = "test" if number >= copies and number % 5 == 4 else "train"
    image.save(folder / _place(number, split), compress_level=1)
    if number < copies:
        alter = TRANSFORMS[PLANTED[number % len(PLANTED)]]
        content = (folder / _place(number)).read_bytes() if alter is None else alter(image)
        suffix = "jpg" if content[:2] == b"\xff\xd8" else "png"
        (folder / "test" / phantom.CLASSES[number % 3] / f"copy{number:06d}.{suffix}").write_bytes(content)


def step(folder: Path, *, search: bool) -> StepFigures:
    """Survey a tree, search it if asked, and return the measurements."""
    seconds: dict[str, float] = {}
    looked: list[Path] = []
    inspect = surveys.inspect

    def counted(path: Path) -> tuple[surveys.ImageFacts, bytes | None]:
        looked.append(path)
        return inspect(path)

    surveys.inspect = counted
    for part in ("_features", "_candidates", "_compared"):
        setattr(near_duplicates, part, _timed(getattr(near_duplicates, part), seconds, part.strip("_")))
    store = Store(folder.parent / "store")
    splits = read_splits(Card(name="many", root=folder), image_shape=(SIDE, SIDE, 1), cache=None)
    seen = _timed(surveys.survey, seconds, "survey")(splits, store)
    figures: StepFigures = {"images": len(seen), "looked": len(looked), "seconds": seconds, "peak": 0.0}
    if search:
        found = _timed(near_duplicates.find_duplicates, seconds, "search")(seen, store)
        pairs = zip(found.first.tolist(), found.second.tolist(), strict=True)
        figures["pairs"] = [sorted((seen.ids[first], seen.ids[second])) for first, second in pairs]
        figures["likeness"] = np.quantile(found.likeness, [0.05, 0.5, 0.95]).tolist()
        figures["almost"] = float(found.almost_similarity[0]) if len(found.almost) else 0.0
    figures["peak"] = peak()
    return figures


def peak() -> float:
    """Return the peak memory of this process in GiB."""
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage includes the peak of the parent process
        return int(status.read_text("utf-8").split("VmHWM:")[1].split()[0]) / 1024**2
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 ** (3 if sys.platform == "darwin" else 2)


def _timed(function: Callable[P, T], seconds: dict[str, float], name: str) -> Callable[P, T]:
    def run(*arguments: P.args, **named: P.kwargs) -> T:
        started, spent = time.perf_counter(), time.process_time()
        result = function(*arguments, **named)
        seconds[name] = time.perf_counter() - started
        seconds[f"{name} cpu"] = time.process_time() - spent
        return result

    return run


def child(folder: Path, what: str) -> StepFigures:
    """Return the measurements of a `step` in its own process."""
    command = [sys.executable, __file__, what, str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    figures: StepFigures = json.loads(done.stdout.splitlines()[-1])
    return figures


def killed(folder: Path, count: int) -> int:
    """Survey a tree in a process that is killed half way.

    Returns:
        The number of images whose results were stored.
    """
    running = subprocess.Popen([sys.executable, __file__, "survey", str(folder)], stdout=subprocess.DEVNULL, cwd=ROOT)
    kept = 0
    while kept < count / 2 and running.poll() is None:
        time.sleep(0.05)
        kept = _kept(folder)
    running.send_signal(signal.SIGKILL)
    running.wait()
    return _kept(folder)


def _kept(folder: Path) -> int:
    for file in (folder.parent / "store" / "survey").glob("*.sqlite"):
        try:
            return int(sqlite3.connect(file).execute("SELECT count(*) FROM image").fetchone()[0])
        except sqlite3.OperationalError:  # not yet created, or locked
            return 0
    return 0


def measure(count: int) -> Measured:
    """Return all measurements of a tree of ``count`` images."""
    with tempfile.TemporaryDirectory() as name:
        free = shutil.disk_usage(name).free
        if free < 2 * count * BYTES_AN_IMAGE:
            sys.exit(f"{count:,} images: needs {2 * count * BYTES_AN_IMAGE / 1e9:.0f} GB, {free / 1e9:.0f} GB are free")
        folder = Path(name) / "images"
        started = time.perf_counter()
        draw(folder, count)
        print(f"{count:,} images drawn in {time.perf_counter() - started:.0f} s", flush=True)
        stopped = killed(folder, count)
        resumed, search, again = (_measure_step(folder, title, what) for title, what in STEPS)
        for number in range(count - 10, count):
            changed = sorted((folder / "train" / phantom.CLASSES[number % 3]).iterdir())[-1 - number % 10]
            changed.write_bytes(png(drawn(count + number)))
        altered = _measure_step(folder, "ten changed", "survey")
        planted = json.loads((folder / "planted.json").read_text("utf-8"))
    true = {tuple(sorted((copy, original))): kind for copy, (original, kind) in planted.items()}
    pairs = {tuple(pair) for pair in search.pop("pairs")}
    again.pop("pairs")
    found: Measured = {
        "killed": stopped,
        "resumed": resumed,
        "search": search,
        "again": again,
        "changed": altered,
        "planted": dict(Counter(true.values())),
        "hits": dict(Counter(kind for pair, kind in true.items() if pair in pairs)),
        "false": sorted(pairs - set(true))[:20],
        "false count": len(pairs - set(true)),
    }
    print(f"  found {found['hits']} of {found['planted']}, false {found['false count']}", flush=True)
    return found


def _measure_step(folder: Path, title: str, what: str) -> StepFigures:
    figures = child(folder, what)
    print(f"  {title}: {_brief(figures)}", flush=True)
    return figures


def real() -> StepFigures | None:
    """Return the measurements of the real images, or None if they are absent.

    The report compares the similarity of drawn images with theirs.
    """
    images = images_of("tb-lungs")
    with tempfile.TemporaryDirectory() as name:
        for number, (label, path) in enumerate(images):
            place = Path(name, "images", "test" if number % 5 == 4 else "train", label)
            place.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place / path.name)
        return child(Path(name) / "images", "search") if images else None


def report(found: dict[str, Measured], images: StepFigures | None) -> str:
    """Return the report as markdown.

    Args:
        found: Measurements of drawn images, by number of images.
        images: Measurements of the real images, if present.
    """
    sizes = sorted(map(int, found))
    measured = {size: found[str(size)] for size in sizes}
    base = measured[sizes[0]]
    lines = [INTRODUCTION, *_alike(found, images), "", FOUND]
    for size, each in measured.items():
        share = proportion(sum(each["hits"].values()), sum(each["planted"].values()))
        missed = {kind: count - each["hits"].get(kind, 0) for kind, count in each["planted"].items()}
        named = ", ".join(f"{count} {kind}" for kind, count in missed.items() if count)
        count_found = f"{share.hits} of {share.n} [{share.low:.4f}, {share.high:.4f}]"
        lines.append(f"| {size:,} | {count_found}{'; missed: ' * bool(named)}{named} | {each['false count']} |")
    lines += ["", COST]
    for size, each in measured.items():
        cells = [_cell(each, base, part) for part in PARTS]
        peaks = [f"{figures['peak']:.2f} GiB" for figures in (each["resumed"], each["search"])]
        lines.append(f"| {size:,} | " + " | ".join([*cells, *peaks]) + " |")
    lines += ["", *(each["note"] for each in measured.values() if "note" in each)]
    lines += ["", MEANING]
    for size, each in measured.items():
        again, changed = each["again"], each["changed"]
        cells = [
            f"{each['killed']:,}",
            f"{each['resumed']['looked']:,}",
            f"{again['looked']}",
            f"{again['seconds']['survey']:.2f}",
            f"{again['seconds']['search']:.2f}",
            f"{changed['looked']}",
            f"{changed['seconds']['survey']:.2f}",
        ]
        lines.append(f"| {size:,} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


STEPS = (("resumed", "survey"), ("search", "search"), ("again", "search"))
PARTS = ("survey cpu", "search cpu", "survey", "search", "features", "candidates", "compared")


def _cell(each: Measured, base: Measured, part: str) -> str:
    """Return milliseconds an image, and in brackets their ratio to ``base``.

    A dash if they were not recorded.
    """
    cost, first = _cost(each, part), _cost(base, part)
    return "-" if cost is None or first is None else f"{cost:.2f} ({cost / first:.1f})"


def _cost(each: Measured, part: str) -> float | None:
    """Return milliseconds an image.

    The time of an unchanged survey is subtracted from that of a survey.
    """
    if part.startswith("survey"):
        images, spent = each["resumed"]["looked"], each["resumed"]["seconds"].get(part)
        return None if spent is None else 1000 * (spent - each["again"]["seconds"][part]) / images
    spent = each["search"]["seconds"].get(part)
    return None if spent is None else 1000 * spent / each["search"]["images"]


def _alike(found: dict[str, Measured], images: StepFigures | None) -> list[str]:
    """Return the table on the similarity of drawn and of real images."""
    named = {f"{int(size):,} drawn": each["search"] for size, each in found.items()}
    named |= {f"{images['images']} of `tb-lungs`": images} if images else {}
    lines = [
        "| images | likeness of the nearest other image: 5 %, 50 %, 95 % of images | most alike detail of others |",
        "| ---: | --- | ---: |",
    ]
    for name, figures in named.items():
        lines.append(
            f"| {name} | {', '.join(f'{each:.3f}' for each in figures['likeness'])} | {figures['almost']:.2f} |"
        )
    return lines


INTRODUCTION = """# Survey and search of many images

Made by `make audit-scale` on a shared machine with two cores: read ratios, not seconds. Each image is 256x256: a
patient of the phantom, drawn for this image alone (pose, build, heart, ribs, lesions, marker), enlarged, with texture
as coarse as vessels and grain of its own. 1 % are copies of train images: exact, JPEG at quality 80 and 30, resized by
half, contrast 20 % up and down, cropped by 2 and 5 % on each side, mirrored, in equal shares. Each step runs in a
process of its own.

The drawn images are as alike as chest images in their low frequencies, in which neighbours are searched. In their
detail, which distinguishes copies from others, they differ more than real ones do: that different images are told apart
here is weaker evidence than [on the real images](duplicates.md).
"""

FOUND = """## What is found

| images | planted copies found, exact 95 % interval | different images called the same |
| ---: | --- | ---: |"""

COST = (
    """## What it costs

Milliseconds an image; in brackets as a multiple of the first row. On a busy machine the clock runs on while others
work, processor time hardly does.

"""
    "| images | processor: survey | search | clock: survey | search "
    "| of it: features | neighbours | laying over | peak: survey | search |\n"
    "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)

MEANING = f"""Peak memory is to stay below {LIMIT_GIB:.0f} GiB. *Neighbours* compares every image with every other: an
image's share of it grows with their number, that of the rest does not. *Laying over* compares each with its nearest.

## What is read again

A first survey is killed half way and started again. Then nothing is changed, then ten images. The search is stored for
one state of all files: with one image changed it is done anew.

| images | killed at | then read | unchanged: read | seconds | search, stored: seconds | ten changed: read | seconds |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"""


def _brief(figures: StepFigures) -> str:
    return json.dumps({key: value for key, value in figures.items() if key != "pairs"})


def main(arguments: list[str]) -> int:
    """Measure the given numbers of images, or all, and write the report.

    ``--again`` only writes the report.
    """
    if arguments[:1] in (["survey"], ["search"]):
        print(json.dumps(step(Path(arguments[1]), search=arguments[0] == "search")))
        return 0
    kept = json.loads(LAST.read_text("utf-8")) if LAST.is_file() else {}
    found: dict[str, Measured] = {size: each for size, each in kept.items() if size != "real"}
    for count in [] if arguments == ["--again"] else map(int, arguments or SIZES):
        found[str(count)] = measure(count)
        LAST.parent.mkdir(exist_ok=True)
        LAST.write_text(json.dumps(found, indent=1), "utf-8")
    images = real()
    if images:
        images.pop("pairs", None)
    LAST.write_text(json.dumps({**found, "real": images}, indent=1), "utf-8")
    REPORT.write_text(report(found, images), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
