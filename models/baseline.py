"""Baseline: the CNN of the motivating article. In: float32 (N, H, W, 1) in [0, 1].

Out: K class probabilities. The network has 1.7 M parameters at 96x96 and 14.8 M at 256x256. Network, generators, batch
size, optimizer, loss and early stopping are those that the article states. Augmentation is part of the network, not of
the generators.

The article does not state everything. Guesses are the largest number of epochs, patience and factor of the
learning-rate plateau (the defaults of Keras), the seed, how images are resized (nearest neighbour, the default of the
generators), and how pixels that augmentation moves in are filled (reflection, the default of the layers). The article's
training curves, its Figure 3, are not reproduced: on its data the validation loss is lowest after a few epochs and then
rises, while the training loss goes on falling. The check `training_curve` says by how much.
"""

import keras
from keras import layers
from tensorflow.keras.preprocessing.image import ImageDataGenerator  # as the article imports it

from roentgate import Recipe, Splits, Streams, Task

RECIPE = Recipe(batch_size=8, epochs=50, patience=20)


def build(task: Task) -> keras.Model:
    """Return the untrained, compiled network."""
    network = keras.Sequential(
        [
            keras.Input(task.image_shape),
            layers.RandomFlip("horizontal"),
            layers.RandomRotation(15 / 360),
            layers.RandomTranslation(0.1, 0.1),
            layers.RandomZoom(0.1, 0.1),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(64, activation="relu"),
            layers.Dense(len(task.classes), activation="softmax"),
        ],
        name="baseline",
    )
    network.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss="categorical_crossentropy",
        metrics=[
            keras.metrics.CategoricalAccuracy(name="accuracy"),
            keras.metrics.AUC(name="auc"),
            keras.metrics.Precision(name="precision"),
            keras.metrics.Recall(name="recall"),
        ],
    )
    return network


def streams(data: Splits, recipe: Recipe, task: Task) -> Streams:
    """Return the generators of the article, shuffled for training only.

    They rescale images of one channel.
    """
    carved = data.train.root == data.validation.root
    training = ImageDataGenerator(rescale=1 / 255, validation_split=0.2 if carved else 0.0)
    testing = ImageDataGenerator(rescale=1 / 255)
    common = {
        "target_size": task.image_shape[:2],
        "color_mode": "grayscale",
        "interpolation": data.test.interpolation,
        "class_mode": "categorical",
        "classes": list(task.classes),
        "batch_size": recipe.batch_size,
        "seed": task.seed,
    }
    return Streams(
        train=training.flow_from_directory(
            data.train.root, subset="training" if carved else None, shuffle=True, **common
        ),
        validation=(training if carved else testing).flow_from_directory(
            data.validation.root, subset="validation" if carved else None, shuffle=False, **common
        ),
        test=testing.flow_from_directory(data.test.root, shuffle=False, **common),
    )
