"""A candidate is no worse than the reference it is to replace, on the same films (only with ``--reference``)."""

from harness import at_least, at_most, comparison, informs


def test_recall_noninferiority(predictions, reference, policy, accept, label):
    """Recall of each class falls by less than the margin."""
    margin = policy.comparison.margin
    change = comparison.recall_change(reference.test, predictions.test, label, margin=margin)
    accept(at_least(change, -margin), subject=label)


def test_accuracy_noninferiority(predictions, reference, policy, accept):
    """Of all films, fewer are newly wrong than newly right, or too few to matter (exact McNemar in the detail)."""
    change = comparison.accuracy_change(reference.test, predictions.test)
    accept(at_least(change, -policy.comparison.margin), subject="test")


def test_auroc_noninferiority(predictions, reference, policy, accept):
    """The macro AUROC falls by less than its margin."""
    change = comparison.auroc_change(reference.test, predictions.test)
    accept(at_least(change, -policy.comparison.auroc_margin), subject="test")


def test_newly_wrong(predictions, reference, accept):
    """For reading: the films that the reference answered rightly and the candidate does not."""
    found = comparison.newly_wrong(reference.test, predictions.test, named=comparison.against(reference))
    accept(informs(found), subject="test")


def test_border_change(border, reference, policy, accept):
    """No border verdict gets worse by more than its margin."""
    margins = {"share": policy.comparison.border_margin, "skill": policy.comparison.skill_margin}
    for found in comparison.border_changes(reference.border(policy.border), border, policy):
        verdict = at_most(found.change, margins[found.kind]) if found.gates else informs(found.change)
        accept(verdict, subject=found.subject)
