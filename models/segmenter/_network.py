"""The network of the segmenter, a small U-Net. In: float32 (n, 128, 128, 1) in [-1, 1].

Its output has the same shape. The normalisation is folded into the convolutions after training.
"""

import keras
from keras import layers

from roentgate import SIDE

WIDTHS = (16, 32, 64, 96)
"""Channels at 64x64, 32x32, 16x16 and 8x8."""


def build(*, normalised: bool) -> keras.Model:
    """Return the untrained network.

    Args:
        normalised: Whether batch normalisation follows every convolution. It is needed for training only.

    Returns:
        The network. It takes images float32 (n, 128, 128, 1) in [-1, 1], as `roentgate.lungs.segmenter.prepare` makes
        them, and gives the probability of lung, float32 (n, 128, 128, 1).
    """
    images = keras.Input((SIDE, SIDE, 1))
    tensor = _convolved(images, WIDTHS[0], normalised=normalised, size=4, strides=2)
    tensor, skips = _convolved(tensor, WIDTHS[0], normalised=normalised), []
    for width in WIDTHS[1:]:
        skips.append(tensor)
        tensor = _convolved(tensor, width, normalised=normalised, strides=2)
        tensor = _convolved(tensor, width, normalised=normalised)
    tensor = _convolved(tensor, WIDTHS[-1], normalised=normalised)
    for width, skip in zip(WIDTHS[-2::-1], skips[::-1], strict=True):
        tensor = layers.UpSampling2D(interpolation="bilinear")(_convolved(tensor, width, normalised=normalised, size=1))
        tensor = _convolved(layers.Concatenate()([tensor, skip]), width, normalised=normalised)
        tensor = _convolved(tensor, width, normalised=normalised)
    lungs = layers.Conv2DTranspose(1, 4, strides=2, padding="same", activation="sigmoid")(tensor)
    return keras.Model(images, lungs)


def _convolved(
    tensor: keras.KerasTensor, width: int, *, normalised: bool, size: int = 3, strides: int = 1
) -> keras.KerasTensor:
    tensor = layers.Conv2D(width, size, strides=strides, padding="same", use_bias=not normalised)(tensor)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.95)(tensor) if normalised else tensor)


def folded(trained: keras.Model) -> keras.Model:
    """Return an equal network with each normalisation folded into its convolution."""
    plain = build(normalised=False)
    norms = [layer for layer in trained.layers if isinstance(layer, layers.BatchNormalization)]
    targets, sources = ([layer for layer in network.layers if layer.weights] for network in (plain, trained))
    convolutions = [layer for layer in sources if not isinstance(layer, layers.BatchNormalization)]
    for target, source, norm in zip(targets[:-1], convolutions[:-1], norms, strict=True):
        scale, shift, mean, variance = norm.get_weights()
        gain = scale / (variance + norm.epsilon) ** 0.5
        target.set_weights([source.get_weights()[0] * gain, shift - mean * gain])
    targets[-1].set_weights(convolutions[-1].get_weights())
    return plain
