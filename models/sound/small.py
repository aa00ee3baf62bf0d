"""The network of most models in ``known_bad``, without a fault."""

from models import _small

RECIPE = _small.RECIPE

build = _small.build
