"""A sound network, trained where a marker and the border are easier to learn than lesions.

Must be rejected by: border/border_mask_flips, border/border_swap, border/border_only_skill,
    attention/skill_without_lungs, attention/lung_background_conflict
On: phantom-shortcut
Diagnosis: follow the donor
"""

from models import _small

RECIPE = _small.RECIPE

build = _small.build
