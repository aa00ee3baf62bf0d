"""Performance survives common changes of image acquisition.

They are less detail, noise, exposure, a small rotation or shift, and another resizing kernel.
"""

import pytest

from roentgate import at_most, border, descriptive
from roentgate import robustness as drop


def test_corruption_skill(robustness, policy, accept, corruption_group, severity):
    """Little balanced accuracy is lost under every corruption of a group."""
    kinds = policy.robustness.members(corruption_group)
    corrupted = {kind: robustness.corrupted[kind, severity] for kind in kinds}
    drops = {
        kind: drop.balanced_accuracy(robustness.clean, answers, family=len(kinds))
        for kind, answers in corrupted.items()
    }
    worst = border.worst(drops, "at_most")
    accept(
        at_most(worst, policy.robustness.drop_ceiling(severity)),
        subject=f"{corruption_group}, severity {severity}",
    )


def test_corruption_curve(robustness, policy, accept, corruption):
    """Descriptive: the balanced accuracy lost under each corruption at the marked severity."""
    answers = robustness.corrupted[corruption, policy.robustness.marked_severity]
    accept(
        descriptive(drop.balanced_accuracy(robustness.clean, answers)),
        subject=f"{corruption}, severity {policy.robustness.marked_severity}",
    )


def test_small_rotation(robustness, policy, accept):
    """Little balanced accuracy is lost when images are rotated a few degrees.

    Both directions must meet the bound.
    """
    drops = {
        f"{degrees:+g} degrees": drop.balanced_accuracy(robustness.clean, answers, family=len(robustness.rotated))
        for degrees, answers in robustness.rotated.items()
    }
    accept(at_most(border.worst(drops, "at_most"), policy.robustness.mild_drop_ceiling), subject="rotated")


def test_small_shift(robustness, policy, accept):
    """Little balanced accuracy is lost when images are shifted a little.

    Every direction must meet the bound.
    """
    drops = {
        f"{100 * share:g}% {where}": drop.balanced_accuracy(robustness.clean, answers, family=len(robustness.shifted))
        for (share, where), answers in robustness.shifted.items()
    }
    accept(at_most(border.worst(drops, "at_most"), policy.robustness.mild_drop_ceiling), subject="shifted")


@pytest.mark.needs("resizing")
def test_resizing_kernel(robustness, policy, accept):
    """Answers and balanced accuracy do not depend on the resizing kernel."""
    kernels, clean = robustness.resized, robustness.clean
    flips = {name: border.flips(clean, answers, family=len(kernels)) for name, answers in kernels.items()}
    drops = {name: drop.balanced_accuracy(clean, answers, family=len(kernels)) for name, answers in kernels.items()}
    accept(at_most(border.worst(flips, "at_most"), policy.robustness.kernel_flips_ceiling), subject="answers")
    accept(at_most(border.worst(drops, "at_most"), policy.robustness.mild_drop_ceiling), subject="balanced accuracy")
