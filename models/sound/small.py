"""The network in which most of the faults of ``known_bad`` are planted, without a fault."""

from models import _small

RECIPE = _small.RECIPE

build = _small.build
