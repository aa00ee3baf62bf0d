"""The answer hangs on the lungs: hide them, exchange them, mark the film beside them, and show no chest at all."""

import pytest

from harness import at_least, at_most, informs
from harness import attention as lungs


@pytest.mark.needs("lungs")
def test_skill_without_lungs(attention, policy, accept):
    """Little skill survives when the lungs are hidden; the worst informative fill counts."""
    ceiling = policy.attention.skill_without_lungs_ceiling
    for region in ("lungs", "common", "another", "region"):
        kept = lungs.skill_without(attention, region)
        accept(at_most(kept, ceiling) if region == "lungs" else informs(kept), subject=lungs.REGIONS[region])


@pytest.mark.needs("lungs")
def test_skill_with_lungs_only(attention, accept):
    """For comparison: the skill that is left when nothing but the lungs is shown."""
    accept(informs(lungs.skill_without(attention, "background")), subject=lungs.REGIONS["background"])


@pytest.mark.needs("lungs")
def test_lungs_against_region(attention, accept):
    """For comparison: hiding the lungs changes more answers than hiding as much elsewhere."""
    accept(informs(lungs.lungs_against_region(attention)), subject="mean")


@pytest.mark.needs("lungs")
def test_follows_lungs(attention, policy, accept):
    """Lungs in the frame of another class are called by the lungs, not by the frame."""
    accept(at_least(lungs.follows_lungs(attention), policy.attention.follow_floor), subject="frames of another class")


@pytest.mark.needs("lungs")
def test_frame_control(attention, accept):
    """For comparison: answers survive the same exchange between films of one class."""
    accept(informs(lungs.frame_control(attention)), subject="frames of the same class")


@pytest.mark.needs("lungs")
def test_follows_markers(attention, policy, accept):
    """Answers do not follow letters and stamps of films of another class."""
    accept(at_most(lungs.follows_markers(attention), policy.attention.marker_ceiling), subject="burn-ins found here")


@pytest.mark.needs("lungs")
def test_inverted_films(attention, accept):
    """For comparison: answers that change when black and white change places."""
    accept(informs(lungs.inverted_flips(attention)), subject="test")


@pytest.mark.needs("lungs")
def test_default_answer(attention, accept):
    """What is answered where there is nothing to see."""
    for name in attention.blanks:
        accept(informs(lungs.default_answer(attention, name)), subject=name)
