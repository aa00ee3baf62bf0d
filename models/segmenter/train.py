"""Train the lung-field segmenter on both hospitals, and on each alone.

The first training is the one that is shipped. The two others are tested on the hospital that they have not seen. Run
from the project's root, with the tuberculosis images at hand (data/README.md names their source):

    python -m models.segmenter.train PATH/TO/tb-lungs

It writes ``harness/roentgate/lungs/lung_fields.keras`` and, for the two others,
``.roentgate/segmenter/NAME.keras``. On two shared cores it took half an hour. `models.segmenter.measure` then makes
the tables of the model card.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from models.segmenter._augmentation import augmented
from models.segmenter._images import Images, held_out, read_images
from models.segmenter._network import build, folded
from roentgate import WEIGHTS, keep_freed_memory, keras_backend, prepare

STEPS = {"both": 4500, "Shenzhen": 3500, "Montgomery": 1800}
"""Number of steps of each training, by hospital. The network of ``both`` is shipped."""

SEED = 20
BATCH = 16
_RATE = 3e-3
_WARM_UP = 100


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Augmented batches of training images.

    A batch depends only on the seed and its number, so that threads can make batches in any order.

    Args:
        images: The images to train on.
        steps: Number of batches.
    """

    def __init__(self, images: Images, steps: int) -> None:
        super().__init__(workers=2, max_queue_size=8)
        self._images, self._steps = images, steps
        _, site, counts = np.unique(images.sites, return_inverse=True, return_counts=True)
        chance = (
            1 / np.sqrt(counts)[site]
        )  # a hospital is drawn in proportion to the square root of its number of images
        self._chance = chance / chance.sum()

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rng = np.random.default_rng([SEED, index])
        rows = rng.choice(len(self._chance), BATCH, p=self._chance)
        pairs = [augmented(rng, self._images.images[row], self._images.lungs[row].astype(np.float32)) for row in rows]
        images, lungs = (np.stack(parts)[:, :, :, None] for parts in zip(*pairs, strict=True))
        return prepare(images), lungs


def loss(truth: keras.KerasTensor, answer: keras.KerasTensor) -> keras.KerasTensor:
    """Return binary cross-entropy plus one minus the soft Dice coefficient of each image."""
    entropy = keras.ops.mean(keras.losses.binary_crossentropy(truth, answer), axis=(1, 2))
    both = keras.ops.sum(truth * answer, axis=(1, 2, 3))
    either = keras.ops.sum(truth + answer, axis=(1, 2, 3))
    return entropy + 1 - (2 * both + 1) / (either + 1)


def trained(images: Images, steps: int, title: str) -> keras.Model:
    """Return a network trained on these images, with its normalisation folded."""
    keras_backend.start_anew(SEED)
    network = build(normalised=True)
    rate = keras.optimizers.schedules.CosineDecay(0.0, steps - _WARM_UP, warmup_target=_RATE, warmup_steps=_WARM_UP)
    network.compile(optimizer=keras.optimizers.AdamW(rate, weight_decay=1e-4), loss=loss, jit_compile=False)
    with tqdm(total=steps, desc=title, unit="step", mininterval=5) as bar:

        def step(batch: int, logs: dict[str, float]) -> None:
            bar.set_postfix(loss=f"{logs['loss']:.3f}", refresh=False)
            bar.update(batch + 1 - bar.n)

        network.fit(
            Batches(images, steps),
            shuffle=False,
            verbose=0,
            callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=step)],
        )
    return folded(network)


def weights_of(name: str, store: Path) -> Path:
    """Return the file with the weights of a training."""
    return WEIGHTS if name == "both" else store / "segmenter" / f"{name}.keras"


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the networks that the arguments name."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("images", type=Path, help="the folder of the tuberculosis images: images/, masks/, rows.csv")
    parser.add_argument("--only", choices=list(STEPS), help="one training alone")
    parser.add_argument("--store", type=Path, default=Path(".roentgate"), help="where the two others are kept")
    chosen = parser.parse_args(arguments)
    keep_freed_memory()
    images = read_images(chosen.images)
    for name in [chosen.only] if chosen.only else STEPS:
        rows = ~held_out(images) if name == "both" else images.sites == name
        network = trained(images.of(rows), STEPS[name], name)
        noted = {"trained on": name, "images": int(rows.sum()), "steps": STEPS[name], "seed": SEED}
        keras_backend.save_network(network, weights_of(name, chosen.store), noted)


if __name__ == "__main__":
    main()
