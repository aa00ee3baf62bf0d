"""Border dropout: compact, trained with random borders. In: float32 (N, H, W, 1) in [0, 1].

The width and the grey of the border are random.
"""

import keras
from keras import layers, ops

from models import compact
from roentgate import Recipe, Task

RECIPE = Recipe(batch_size=8, epochs=50, patience=20)


@keras.saving.register_keras_serializable("roentgate")
class RandomBorder(layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Replaces the outer border of each image by one random grey, in training only.

    Args:
        widest: Largest width of the border, as a share of the side.
        seed: Of widths and greys.
        options: Of every Keras layer.
    """

    def __init__(self, widest: float = 0.15, seed: int | None = None, **options: object) -> None:
        super().__init__(**options)
        self.widest = widest
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, images: keras.KerasTensor, *, training: bool = False) -> keras.KerasTensor:
        """Return images (n, H, W, C), with another border in training."""
        if not training:
            return images
        count, height, width = ops.shape(images)[0], images.shape[1], images.shape[2]
        rows = ops.minimum(ops.arange(height), ops.arange(height)[::-1]) / height
        columns = ops.minimum(ops.arange(width), ops.arange(width)[::-1]) / width
        depth = ops.minimum(rows[:, None], columns[None, :])[None, :, :, None]
        cut = keras.random.uniform((count, 1, 1, 1), 0.0, self.widest, seed=self.generator)
        grey = keras.random.uniform((count, 1, 1, 1), seed=self.generator)
        return ops.where(ops.cast(depth, "float32") < cut, grey, images)

    def get_config(self) -> dict[str, object]:
        """Return the configuration from which the layer can be built again."""
        return {**super().get_config(), "widest": self.widest, "seed": self.seed}


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    network = keras.Sequential(
        [keras.Input(task.image_shape), RandomBorder(seed=task.seed), *compact.stages(len(task.classes))],
        name="border_dropout",
    )
    network.compile(optimizer=keras.optimizers.Adam(1e-3), loss="categorical_crossentropy", metrics=["accuracy"])
    return network
