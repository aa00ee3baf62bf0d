"""Answers do not depend on the border.

The border is masked, exchanged, or shown alone.
"""

from roentgate import at_least, at_most, border, border_invariance, descriptive, metrics, smallest_mask


def named(width):
    """Return the scorecard's name of a border of this width, a share of the side."""
    return f"{100 * width:g}% border"


def test_border_mask_flips(border_answers, policy, accept, width):
    """Few answers change when the border is masked, under every infill.

    All infills together are one gating row. Each infill by itself is descriptive.
    """
    masked = {infill: border_answers.masked[width, infill] for infill in policy.border.infills}
    clean = border_answers.clean
    worst = border.worst({name: border.flips(clean, masked[name], family=len(masked)) for name in masked}, "at_most")
    gates = width in policy.border.borders
    accept(at_most(worst, policy.border.flips_ceiling) if gates else descriptive(worst), subject=named(width))
    for infill, answers in masked.items():
        accept(descriptive(border.flips(clean, answers)), subject=f"{named(width)}, {infill}")


def test_border_masked_recall(border_answers, unseen, policy, accept, gating_width, label):
    """Recall floors hold when the border is masked.

    This refuses a constant answer, which never flips.
    """
    masked = {infill: border_answers.masked[gating_width, infill] for infill in policy.border.infills}
    recalls = {infill: metrics.recall(unseen(answers), label, family=len(masked)) for infill, answers in masked.items()}
    worst = border.worst(recalls, "at_least")
    accept(at_least(worst, policy.recall.floor(label)), subject=f"{label}, {named(gating_width)}")


def test_border_swap(border_answers, policy, accept, width):
    """Answers do not follow the border of an image of another class.

    The control is the border of an image of the same class.
    """
    followed = border.net_switches(
        border_answers.clean,
        border_answers.other[width],
        border_answers.same[width],
        border_answers.donor_labels,
        donors=border_answers.donors,
    )
    gates = width in policy.border.borders
    accept(
        at_most(followed, policy.border.swap_ceiling) if gates else descriptive(followed),
        subject=named(width),
    )


def test_border_only_skill(border_answers, policy, accept, only_width):
    """Little skill is retained when only the border is shown.

    The worst informative infill counts.
    """
    only = {infill: border_answers.only[only_width, infill] for infill in policy.border.infills}
    kept = {
        infill: border.retained_skill(border_answers.clean, answers, family=len(only))
        for infill, answers in only.items()
    }
    worst = border.worst(kept, "at_most")
    gates = only_width in policy.border.only_borders
    accept(
        at_most(worst, policy.border.only_skill_ceiling) if gates else descriptive(worst),
        subject=named(only_width),
    )


def test_interior_mask_control(border_answers, accept, width):
    """Descriptive: answers that change when an equally large centre is masked."""
    accept(
        descriptive(border.flips(border_answers.clean, border_answers.interior[width])),
        subject=f"as large as the {named(width)}",
    )


def test_smallest_flipping_mask(smallest_masks, accept):
    """Descriptive: the smallest mask outside the lungs that changes answers."""
    for family in smallest_mask.FAMILIES:
        accept(descriptive(smallest_mask.area(smallest_masks, family)), subject=family)


def test_border_invariance(border_contents, accept, gating_width):
    """Descriptive: how far 100 random border contents move the answers.

    They do not move at all if the model never reads the border.
    """
    accept(descriptive(border_invariance.largest_change(border_contents)), subject=named(gating_width))
