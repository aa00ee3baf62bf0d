"""A candidate is no worse than the reference it is to replace, on the same images (only with ``--reference``).

Test images that are also in train are left out (``unseen``), as in the recall suite: learned by heart, they hide a
loss.
"""

from roentgate import at_least, at_most, comparison, descriptive


def test_recall_noninferiority(evidence, reference, unseen, policy, accept, label):
    """Recall of each class falls by less than the margin."""
    margin = policy.comparison.margin
    change = comparison.recall_change(unseen(reference.test), unseen(evidence.test), label, margin=margin)
    accept(at_least(change, -margin), subject=label)


def test_accuracy_noninferiority(evidence, reference, unseen, policy, accept):
    """Of the images that count, no more are newly wrong than newly right, or too few to matter (McNemar is told)."""
    change = comparison.accuracy_change(unseen(reference.test), unseen(evidence.test))
    accept(at_least(change, -policy.comparison.margin), subject="test")


def test_auroc_noninferiority(evidence, reference, unseen, policy, accept):
    """The macro AUROC falls by less than its margin."""
    change = comparison.auroc_change(unseen(reference.test), unseen(evidence.test))
    accept(at_least(change, -policy.comparison.auroc_margin), subject="test")


def test_negative_flips(evidence, reference, accept):
    """For reading: of all images, those that the reference answered rightly and the candidate does not."""
    found = comparison.negative_flips(reference.test, evidence.test, named=comparison.against(reference))
    accept(descriptive(found), subject="test")


def test_border_change(border_answers, reference, unseen, policy, accept):
    """No border verdict gets worse by more than its margin."""
    margins = {"share": policy.comparison.border_margin, "skill": policy.comparison.skill_margin}
    before = reference.border(policy.border)
    for found in comparison.border_changes(before, border_answers, policy, unseen=unseen):
        verdict = at_most(found.change, margins[found.kind]) if found.gates else descriptive(found.change)
        accept(verdict, subject=found.subject)
