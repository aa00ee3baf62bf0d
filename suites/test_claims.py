"""Published figures can all be true together, and are true of this model (only with ``--claims``)."""

from roentgate import at_least, claim_consistency, claim_reproduction


def test_claims_consistent(claims, accept):
    """Some confusion matrix of these class counts gives every figure of a place, and of all places together."""
    for subject, unopposed in claim_consistency.verdicts(claims):
        accept(at_least(unopposed, 1.0, guarded=True), subject=subject)


def test_claim_reproduced(evidence, claims, policy, accept):
    """Each printed figure lies within this model's interval, and near its own figure."""
    for subject, verdict in claim_reproduction.verdicts(claims, evidence.test, policy.claims):
        accept(verdict, subject=subject)
