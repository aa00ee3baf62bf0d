"""Estimates of how a training ended, from the losses of its epochs.

They describe one training. The losses of an epoch are means over all images, so that no interval over images can be
made of them, and the limits are the value. Another training would differ, and ``--seeds`` shows how much.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from roentgate.arrays import DoubleArray
from roentgate.stats import Estimate, undefined

__all__ = ["best_epoch", "converged", "gap"]

History = Mapping[str, Sequence[float]]
"""One number for each epoch by metric, as Keras' ``fit`` returns them."""

LAST: Final = 5
"""Number of epochs whose median stands for the end of a training, since single epochs vary."""

RISE: Final = 0.10
"""Rise of the validation loss, in nats, that counts as diverging. It is what one temperature may save in the policy."""


def best_epoch(history: History) -> Estimate:
    """Return the epoch with the lowest validation loss, from 1.

    The weights of this epoch are judged.

    Args:
        history: ``loss`` and ``val_loss`` of each epoch.

    Returns:
        The epoch, with n = epochs and no width. NaN from 1 to the number of epochs if a loss is not finite.
    """
    loss, validation = _losses(history)
    if not _finite(loss, validation):
        return _undefined(loss, low=1.0, high=float(len(validation)))
    best = int(validation.argmin())
    detail = f"of {len(validation)}; validation loss {validation[best]:.3f}, training loss {loss[best]:.3f} nats"
    return _read(best + 1, len(validation), detail)


def gap(history: History) -> Estimate:
    """Return the validation loss less the training loss at the end, in nats.

    It is the median difference of the last `LAST` epochs. The training loss is a mean over an epoch whose weights
    change, with dropout and augmentation on, so the gap of a model without overfitting is often below 0.

    Args:
        history: As `best_epoch`.

    Returns:
        The gap, with n = epochs and no width. NaN from minus infinity to infinity if a loss is not finite.
    """
    loss, validation = _losses(history)
    if not _finite(loss, validation):
        return _undefined(loss, low=-math.inf, high=math.inf)
    ends = f"validation loss {_end(validation):.3f}, training loss {_end(loss):.3f} nats"
    best = int(validation.argmin())
    detail = f"median of the last {min(LAST, len(loss))} epochs: {ends}; gap at the best epoch "
    return _read(_end(validation - loss), len(loss), detail + f"{validation[best] - loss[best]:.3f}")


def converged(history: History) -> Estimate:
    """Return whether the validation loss had settled when training ended: 1 or 0.

    It had not if the best epoch is among the last `LAST`, for then it was still falling, nor if the median of the last
    `LAST` epochs lies more than `RISE` above the best epoch, for then it diverges.

    Args:
        history: As `best_epoch`.

    Returns:
        1 or 0, with n = epochs and no width. NaN in [0, 1] if a loss is not finite.
    """
    loss, validation = _losses(history)
    if not _finite(loss, validation):
        return _undefined(loss, low=0.0, high=1.0)
    best = int(validation.argmin())
    after, rise = len(validation) - 1 - best, _end(validation) - float(validation[best])
    if after < LAST:
        return _read(0, len(loss), f"not converged: the validation loss is lowest {after} epochs before the end")
    text = f"the validation loss ends {rise:.3f} nats above its best epoch, {after} epochs before the end"
    return _read(int(rise <= RISE), len(loss), f"{'converged' if rise <= RISE else 'diverging'}: {text}")


def _losses(history: History) -> tuple[DoubleArray, DoubleArray]:
    return np.asarray(history["loss"], np.float64), np.asarray(history["val_loss"], np.float64)


def _finite(loss: DoubleArray, validation: DoubleArray) -> bool:
    return len(loss) > 0 and bool(np.isfinite(loss).all() and np.isfinite(validation).all())


def _end(values: DoubleArray) -> float:
    return float(np.median(values[-LAST:]))


def _read(value: float, epochs: int, detail: str) -> Estimate:
    return Estimate(
        value=float(value),
        low=float(value),
        high=float(value),
        n=epochs,
        method="census",
        unit="epoch",
        detail=detail,
    )


def _undefined(loss: DoubleArray, *, low: float, high: float) -> Estimate:
    detail = "a loss of the training is not finite" if len(loss) else "no epoch was trained"
    return undefined(len(loss), low=low, high=high, method="census", unit="epoch", detail=detail)
