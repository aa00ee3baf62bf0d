"""Pixels from -1 to 1, declared as such."""

from models import _small

INPUT_RANGE = (-1, 1)
RECIPE = _small.RECIPE

build = _small.build
