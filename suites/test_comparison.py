"""A candidate is no worse than its reference (needs ``--reference``).

Test images that are also in train are left out (``unseen``), as in the recall suite. A model may have memorised them,
which would hide a loss.
"""

from roentgate import at_least, at_most, comparison, descriptive


def test_recall_noninferiority(evidence, reference, unseen, policy, accept, label):
    """Recall of each class falls by less than the margin."""
    margin = policy.comparison.margin
    change = comparison.recall_change(unseen(reference.test), unseen(evidence.test), label, margin=margin)
    accept(at_least(change, -margin), subject=label)


def test_accuracy_noninferiority(evidence, reference, unseen, policy, accept):
    """Accuracy falls by less than the margin."""
    change = comparison.accuracy_change(unseen(reference.test), unseen(evidence.test))
    accept(at_least(change, -policy.comparison.margin), subject="test")


def test_auroc_noninferiority(evidence, reference, unseen, policy, accept):
    """Macro AUROC falls by less than its margin."""
    change = comparison.auroc_change(unseen(reference.test), unseen(evidence.test))
    accept(at_least(change, -policy.comparison.auroc_margin), subject="test")


def test_negative_flips(evidence, reference, accept):
    """Descriptive: images that only the reference predicted correctly."""
    found = comparison.negative_flips(reference.test, evidence.test, named=comparison.against(reference))
    accept(descriptive(found), subject="test")


def test_border_change(border_answers, reference, unseen, policy, accept):
    """No border verdict gets worse by more than its margin."""
    margins = {"share": policy.comparison.border_margin, "skill": policy.comparison.skill_margin}
    before = reference.border(policy.border)
    for found in comparison.border_changes(before, border_answers, policy, unseen=unseen):
        verdict = at_most(found.change, margins[found.kind]) if found.gates else descriptive(found.change)
        accept(verdict, subject=found.subject)
