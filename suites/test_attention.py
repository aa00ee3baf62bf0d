"""Answers depend on the lungs.

The lungs or the background are masked or exchanged, annotations are added, and images without a chest are shown.
"""

import pytest

from roentgate import at_least, at_most, attribution, descriptive
from roentgate import attention as lungs


@pytest.mark.needs("anatomy")
def test_lung_fields_found(evidence, accept):
    """Descriptive: images of each class with a trusted lung field."""
    for label in evidence.test.classes:
        accept(descriptive(lungs.lung_fields_found(evidence, label)), subject=label)


@pytest.mark.needs("lungs")
def test_skill_without_lungs(attention, policy, accept):
    """Little skill is retained when the usual lung region is masked.

    The worst informative infill counts. The other regions are descriptive.
    """
    ceiling = policy.attention.skill_without_lungs_ceiling
    for region in (lungs.GATING, "lungs", "another", "region"):
        kept = lungs.skill_without(attention, region)
        accept(at_most(kept, ceiling) if region == lungs.GATING else descriptive(kept), subject=lungs.REGIONS[region])


@pytest.mark.needs("lungs")
def test_skill_with_lungs_only(attention, accept):
    """Descriptive: the skill that is retained when only the lungs are shown."""
    accept(descriptive(lungs.skill_without(attention, "background")), subject=lungs.REGIONS["background"])


@pytest.mark.needs("lungs")
def test_retained_skill_by_infill(attention, accept):
    """Descriptive: retained skill without lungs and with lungs only, by infill."""
    for infill in lungs.MILDEST_FIRST:
        for region in (lungs.GATING, "background"):
            kept = lungs.retained_by_infill(attention, region, infill)
            accept(descriptive(kept), subject=f"{lungs.REGIONS[region]}, {infill}")


@pytest.mark.needs("lungs")
def test_redundant_cues(attention, accept):
    """Descriptive: skill retained both without lungs and with lungs only."""
    accept(descriptive(lungs.redundant_cues(attention)), subject="the smaller of the two")


@pytest.mark.needs("lungs")
def test_lungs_versus_random_region(attention, accept):
    """Descriptive: answers changed by masking the lungs and an equally large region."""
    accept(descriptive(lungs.lungs_versus_random_region(attention)), subject="mean")


@pytest.mark.needs("lungs")
def test_lung_background_conflict(attention, policy, accept):
    """Lungs on the background of another class are predicted as the lungs' class."""
    accept(
        at_least(lungs.lung_background_conflict(attention), policy.attention.conflict_floor),
        subject="backgrounds of another class",
    )


@pytest.mark.needs("lungs")
def test_background_swap_control(attention, accept):
    """Descriptive: answers that survive a background swap within a class."""
    accept(descriptive(lungs.background_swap_control(attention)), subject="backgrounds of the same class")


@pytest.mark.needs("lungs")
def test_background_swap_positive_control(attention, accept):
    """Descriptive: answers of a probe of the lungs alone under the same swap."""
    accept(descriptive(lungs.background_swap_positive_control(attention)), subject="linear probe of the lungs")


@pytest.mark.needs("lungs")
def test_background_swap_auroc(attention, accept):
    """Descriptive: AUROC of the lungs' class on swapped backgrounds.

    The same images as they are stand beside it.
    """
    accept(descriptive(lungs.background_swap_auroc(attention)), subject="backgrounds of another class")
    accept(descriptive(lungs.background_swap_auroc(attention, swapped=False)), subject="the same images as they are")


@pytest.mark.needs("lungs")
def test_annotation_swap(attention, policy, accept):
    """Answers do not follow pasted annotations of images of another class."""
    accept(
        at_most(lungs.annotation_swap(attention), policy.attention.annotation_ceiling),
        subject="burned-in annotations found here",
    )


@pytest.mark.needs("lungs")
def test_drawn_marker(attention, accept):
    """Descriptive: answers changed by a drawn letter and by a flat patch."""
    accept(descriptive(lungs.drawn_marker(attention)), subject="R, upper left")


@pytest.mark.needs("lungs")
def test_inverted_images(attention, accept):
    """Descriptive: answers that change when images are inverted."""
    accept(descriptive(lungs.inverted_flips(attention)), subject="test")


@pytest.mark.needs("lungs")
def test_non_chest_output(attention, accept):
    """Descriptive: the output on images without a chest."""
    for name in attention.blanks:
        accept(descriptive(lungs.non_chest_output(attention, name)), subject=name)


def test_attribution_sanity_check(attributions, accept):
    """Descriptive: attribution maps change when the learned weights are randomised."""
    for method in attributions.methods:
        accept(descriptive(attribution.randomisation_correlation(attributions, method)), subject=method)


@pytest.mark.needs("lesions")
def test_attribution_known_lesions(attributions, accept):
    """Descriptive: positive attribution lies in known lesions that decide."""
    for method in attributions.methods:
        accept(descriptive(attribution.known_lesions(attributions, method)), subject=method)


@pytest.mark.needs("lungs")
def test_attribution_in_lungs(attributions, accept):
    """Descriptive: positive attribution lies in the lungs more than in a null map."""
    for method in attributions.methods:
        for null in attribution.NULLS:
            accept(descriptive(attribution.in_lungs(attributions, method, null)), subject=f"{method}, against {null}")


@pytest.mark.needs("lungs")
def test_attribution_pointing(attributions, accept):
    """Descriptive: the strongest pixel lies in the lungs more often than a null's."""
    for method in attributions.methods:
        accept(descriptive(attribution.pointing(attributions, method)), subject=method)
        for null in attribution.NULLS:
            beyond = attribution.pointing_beyond(attributions, method, null)
            accept(descriptive(beyond), subject=f"{method}, against {null}")


def test_attribution_deletion(attributions, accept):
    """Descriptive: answers follow the map's order faster than a null order."""
    for method in attributions.methods:
        for direction in attribution.DIRECTIONS:
            for order in attribution.ORDERS:
                gain = attribution.deletion_gain(attributions, method, direction, order)
                accept(descriptive(gain), subject=f"{method}, {direction}, against {order}")
