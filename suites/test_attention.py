"""The answer hangs on the lungs: hide them, exchange them, mark the image beside them, and show no chest at all."""

import pytest

from roentgate import at_least, at_most, attribution, descriptive
from roentgate import attention as lungs


@pytest.mark.needs("lungs")
def test_skill_without_lungs(attention, policy, accept):
    """Little skill survives when the lungs are hidden; the worst informative infill counts."""
    ceiling = policy.attention.skill_without_lungs_ceiling
    for region in ("lungs", "common", "another", "region"):
        kept = lungs.skill_without(attention, region)
        accept(at_most(kept, ceiling) if region == "lungs" else descriptive(kept), subject=lungs.REGIONS[region])


@pytest.mark.needs("lungs")
def test_skill_with_lungs_only(attention, accept):
    """For comparison: the skill that is left when nothing but the lungs is shown."""
    accept(descriptive(lungs.skill_without(attention, "background")), subject=lungs.REGIONS["background"])


@pytest.mark.needs("lungs")
def test_lungs_versus_random_region(attention, accept):
    """For comparison: hiding the lungs changes more answers than hiding as much elsewhere."""
    accept(descriptive(lungs.lungs_versus_random_region(attention)), subject="mean")


@pytest.mark.needs("lungs")
def test_lung_background_conflict(attention, policy, accept):
    """Lungs on the background of another class are called by the lungs, not by the background."""
    accept(
        at_least(lungs.lung_background_conflict(attention), policy.attention.conflict_floor),
        subject="backgrounds of another class",
    )


@pytest.mark.needs("lungs")
def test_background_swap_control(attention, accept):
    """For comparison: answers survive the same exchange between images of one class."""
    accept(descriptive(lungs.background_swap_control(attention)), subject="backgrounds of the same class")


@pytest.mark.needs("lungs")
def test_annotation_swap(attention, policy, accept):
    """Answers do not follow letters and stamps of images of another class."""
    accept(
        at_most(lungs.annotation_swap(attention), policy.attention.annotation_ceiling),
        subject="burned-in annotations found here",
    )


@pytest.mark.needs("lungs")
def test_drawn_marker(attention, accept):
    """For comparison: a letter drawn into the corner of every image changes no more answers than a flat patch there."""
    accept(descriptive(lungs.drawn_marker(attention)), subject="R, upper left")


@pytest.mark.needs("lungs")
def test_inverted_images(attention, accept):
    """For comparison: answers that change when black and white change places."""
    accept(descriptive(lungs.inverted_flips(attention)), subject="test")


@pytest.mark.needs("lungs")
def test_non_chest_output(attention, accept):
    """What is answered where there is nothing to see."""
    for name in attention.blanks:
        accept(descriptive(lungs.non_chest_output(attention, name)), subject=name)


def test_attribution_sanity_check(attributions, accept):
    """An explainer may speak about this model only if its maps come apart with what the model has learned."""
    for method in attributions.methods:
        accept(descriptive(attribution.randomisation_correlation(attributions, method)), subject=method)


@pytest.mark.needs("lungs")
def test_attribution_in_lungs(attributions, accept):
    """What spoke for the answers lies in the lungs, more than it would in a map that knows nothing of the image."""
    for method in attributions.methods:
        for null in attribution.NULLS:
            accept(descriptive(attribution.in_lungs(attributions, method, null)), subject=f"{method}, against {null}")


@pytest.mark.needs("lungs")
def test_attribution_pointing(attributions, accept):
    """The strongest pixel lies in the lungs, more often than a point of such a map."""
    for method in attributions.methods:
        accept(descriptive(attribution.pointing(attributions, method)), subject=method)
        for null in attribution.NULLS:
            beyond = attribution.pointing_beyond(attributions, method, null)
            accept(descriptive(beyond), subject=f"{method}, against {null}")


def test_attribution_deletion(attributions, accept):
    """The answer follows the order of the map faster than a random one, and than one from the centre outwards."""
    for method in attributions.methods:
        for direction in attribution.DIRECTIONS:
            for order in attribution.ORDERS:
                gain = attribution.deletion_gain(attributions, method, direction, order)
                accept(descriptive(gain), subject=f"{method}, {direction}, against {order}")
