"""Learns a tube inside the lungs that agrees with the class, in place of faint lesions.

Must be rejected by: nothing
On: phantom-tube
Diagnosis: the tube lies inside the lungs, and no check looks inside them
"""

from models import _small

RECIPE = _small.RECIPE

build = _small.build
