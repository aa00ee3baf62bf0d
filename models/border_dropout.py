"""Border dropout: like compact, trained with a border of random width and grey. In: float32 (N, H, W, 1) in [0, 1]."""

import keras
from keras import layers, ops

from models import compact
from roentgate import Recipe, Task

RECIPE = Recipe(batch_size=8, epochs=50, patience=20)


@keras.saving.register_keras_serializable("roentgate")
class RandomRing(layers.Layer):  # type: ignore[misc]  # Keras has no types
    """In training, replaces the outer border of each image, up to ``widest`` of its side, by one random grey."""

    def __init__(self, widest: float = 0.15, seed: int | None = None, **options: object) -> None:
        super().__init__(**options)
        self.widest = widest
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, images: keras.KerasTensor, *, training: bool = False) -> keras.KerasTensor:
        """Return images (n, H, W, C), their border replaced in training only."""
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
        """Return what is needed to build the layer again."""
        return {**super().get_config(), "widest": self.widest, "seed": self.seed}


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    network = keras.Sequential(
        [keras.Input(task.image_shape), RandomRing(seed=task.seed), *compact.stages(len(task.classes))],
        name="border_dropout",
    )
    network.compile(optimizer=keras.optimizers.Adam(1e-3), loss="categorical_crossentropy", metrics=["accuracy"])
    return network
