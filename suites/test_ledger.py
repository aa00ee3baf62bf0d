"""Test images wear out: the more models they have judged, the less one more good figure proves."""

from roentgate import at_most, descriptive, test_set_reuse


def test_test_set_evaluations(evaluation, policy, accept):
    """No more models than the policy allows have been judged on these test images, in the order of their first
    looks."""
    number, ceiling = test_set_reuse.models(evaluation), policy.ledger.most_models
    accept(descriptive(number) if ceiling is None else at_most(number, ceiling), subject="test")
