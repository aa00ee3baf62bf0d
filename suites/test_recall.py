"""Recall of each class is high enough, and costly confusions are rare.

Test images that are also in train are left out (``unseen``), unless the policy counts them.
"""

from roentgate import at_least, at_most, controls, descriptive, metrics


def test_recall_floor(evidence, unseen, policy, accept, label):
    """Recall of each class on the test rows reaches its floor."""
    accept(at_least(metrics.recall(unseen(evidence.test), label), policy.recall.floor(label)), subject=label)


def test_shuffled_answers_control(evidence, unseen, policy, accept, classes):
    """Control: the model's own answers, shuffled among the images, are refused by the recall floors."""
    floors = {label: policy.recall.floor(label) for label in classes}
    refused = controls.shuffled_answers(unseen(evidence.test), floors)
    accept(at_least(refused, controls.CAUGHT), subject="recall_floor")


def test_confusion_ceiling(evidence, unseen, policy, accept, pair):
    """The share of one class predicted as another stays below its ceiling, if it is a costly confusion."""
    truth, predicted = pair
    confusion = metrics.confusion(unseen(evidence.test), truth, predicted)
    costly, ceiling = policy.recall.is_costly(truth, predicted), policy.recall.ceiling(truth, predicted)
    accept(at_most(confusion, ceiling) if costly else descriptive(confusion), subject=f"{truth} → {predicted}")


def test_macro_auroc_floor(evidence, unseen, policy, accept):
    """The mean one-against-the-rest AUROC reaches its floor."""
    accept(at_least(metrics.macro_auroc(unseen(evidence.test)), policy.recall.macro_auroc_floor), subject="test")


def test_beats_majority(evidence, unseen, accept, classes):
    """The whole interval of the balanced accuracy lies above 1/K.

    Any constant answer reaches 1/K.
    """
    accept(at_least(metrics.balanced_accuracy(unseen(evidence.test)), 1 / len(classes), guarded=True), subject="test")
