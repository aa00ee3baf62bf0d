"""Grey images in three channels, as a backbone for photographs takes them."""

from models import _small

IMAGE_SHAPE = (96, 96, 3)
RECIPE = _small.RECIPE

build = _small.build
