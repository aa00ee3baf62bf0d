"""What the model looks at: explainers that have earned a voice are heard, beside what chance and habit would say."""

import pytest

from harness import explanations, informs


def test_attribution_licence(attributions, accept):
    """An explainer may speak about this model only if its maps come apart with what the model has learned."""
    for method in attributions.methods:
        accept(informs(explanations.may_speak(attributions, method)), subject=method)


@pytest.mark.needs("masks")
def test_attribution_in_lungs(attributions, accept):
    """What spoke for the answers lies in the lungs, more than it would in a map that knows nothing of the film."""
    for method in attributions.methods:
        for null in explanations.NULLS:
            accept(informs(explanations.in_lungs(attributions, method, null)), subject=f"{method}, against {null}")


@pytest.mark.needs("masks")
def test_attribution_pointing(attributions, accept):
    """The strongest pixel lies in the lungs, more often than a point of such a map."""
    for method in attributions.methods:
        accept(informs(explanations.pointing(attributions, method)), subject=method)
        for null in explanations.NULLS:
            beyond = explanations.pointing_beyond(attributions, method, null)
            accept(informs(beyond), subject=f"{method}, against {null}")


def test_attribution_deletion(attributions, accept):
    """The answer follows the order of the map faster than a random one, and than one from the centre outwards."""
    for method in attributions.methods:
        for direction in explanations.DIRECTIONS:
            for order in explanations.ORDERS:
                gain = explanations.deletion_gain(attributions, method, direction, order)
                accept(informs(gain), subject=f"{method}, {direction}, against {order}")
