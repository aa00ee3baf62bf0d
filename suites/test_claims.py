"""Published figures are consistent and hold for this model (needs ``--claims``)."""

from roentgate import at_least, claim_consistency, claim_reproduction


def test_claims_consistent(claims, accept):
    """One confusion matrix gives every figure of a place, and of all places."""
    for subject, consistent in claim_consistency.verdicts(claims):
        accept(at_least(consistent, 1.0, guarded=True), subject=subject)


def test_claim_reproduced(evidence, claims, policy, accept):
    """Each printed figure lies in this model's interval and near its figure."""
    for subject, verdict in claim_reproduction.verdicts(claims, evidence.test, policy.claims):
        accept(verdict, subject=subject)
