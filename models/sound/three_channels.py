"""Grey images in three channels, as a backbone for photographs wants them."""

from models import _small

IMAGE_SHAPE = (96, 96, 3)
RECIPE = _small.RECIPE

build = _small.build
