"""The frame does not decide: hide the ring, exchange it, or show nothing else."""

from roentgate import at_least, at_most, border, border_invariance, descriptive, metrics, smallest_mask


def named(ring):
    """Return what the scorecard calls a ring of this width, a share of the side."""
    return f"{100 * ring:g}% ring"


def test_border_mask_flips(border_answers, policy, accept, ring, fill):
    """Few answers change when the outer ring is hidden; every fill must hold."""
    gates = ring in policy.border.rings
    family = len(policy.border.fills) if gates else 1
    flips = border.flips(border_answers.clean, border_answers.masked[ring, fill], family=family)
    accept(
        at_most(flips, policy.border.flips_ceiling) if gates else descriptive(flips),
        subject=f"{named(ring)}, {fill}",
    )


def test_border_masked_recall(border_answers, unseen, policy, accept, gating_ring, label):
    """Recall floors hold under the mask as well: a constant answer never flips."""
    masked = {fill: border_answers.masked[gating_ring, fill] for fill in policy.border.fills}
    recalls = {fill: metrics.recall(unseen(answers), label, family=len(masked)) for fill, answers in masked.items()}
    worst = border.worst(recalls, "at_least")
    accept(at_least(worst, policy.recall.floor(label)), subject=f"{label}, {named(gating_ring)}")


def test_border_swap(border_answers, policy, accept, ring):
    """Answers do not follow the ring of a film of another class more than that of the same class."""
    followed = border.directed_flips(
        border_answers.clean, border_answers.other[ring], border_answers.same[ring], border_answers.donor_labels
    )
    gates = ring in policy.border.rings
    accept(
        at_most(followed, policy.border.transplant_ceiling) if gates else descriptive(followed),
        subject=named(ring),
    )


def test_border_only_skill(border_answers, policy, accept, only_ring):
    """Little skill survives when nothing but the ring is shown; the worst informative fill counts."""
    only = {fill: border_answers.only[only_ring, fill] for fill in policy.border.fills}
    kept = {fill: border.skill_kept(border_answers.clean, answers, family=len(only)) for fill, answers in only.items()}
    worst = border.worst(kept, "at_most")
    gates = only_ring in policy.border.only_rings
    accept(
        at_most(worst, policy.border.only_skill_ceiling) if gates else descriptive(worst),
        subject=named(only_ring),
    )


def test_interior_mask_control(border_answers, accept, ring):
    """For comparison: flips when as much is hidden in the middle, where a sound model should look."""
    accept(
        descriptive(border.flips(border_answers.clean, border_answers.interior[ring])),
        subject=f"as large as the {named(ring)}",
    )


def test_smallest_flipping_mask(smallest_masks, accept):
    """How little must be hidden outside the lungs to change answers: the smallest mask of each family found."""
    for family in smallest_mask.FAMILIES:
        accept(descriptive(smallest_mask.area(smallest_masks, family)), subject=family)


def test_border_invariance(ring_contents, accept, gating_ring):
    """How far answers move when the ring shows any of 100 random things: not at all, if the model never reads it."""
    accept(descriptive(border_invariance.largest_change(ring_contents)), subject=named(gating_ring))
