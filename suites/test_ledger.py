"""Only so many models are evaluated on the same test images."""

from roentgate import at_most, descriptive, test_set_reuse


def test_test_set_evaluations(evaluation, policy, accept):
    """The model is among the first that the policy allows on these test images.

    Models are counted in the order of their first evaluation.
    """
    number, ceiling = test_set_reuse.models(evaluation), policy.ledger.most_models
    accept(descriptive(number) if ceiling is None else at_most(number, ceiling), subject="test")
