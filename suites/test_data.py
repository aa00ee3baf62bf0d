"""What the data gives away before any model is believed: the same image twice, and what is scored without the lungs."""

import pytest

from roentgate import at_least, at_most, comparison, descriptive, leakage, metrics, probe_skill, probes


def test_images_in_two_splits(data_record, policy, accept, two_splits):
    """No image of a split is also in another: the same bytes, the same pixels, or a copy of it."""
    of, elsewhere = two_splits
    shared = leakage.images_shared(data_record, of, elsewhere)
    accept(at_most(shared, policy.audit.leakage_ceiling), subject=f"{of} in {elsewhere}")


@pytest.mark.needs("groups")
def test_patients_in_two_splits(data_record, policy, accept):
    """No patient of a split has images in another."""
    for of, elsewhere in leakage.TWO_SPLITS:
        shared = leakage.patients_shared(data_record, of, elsewhere)
        accept(at_most(shared, policy.audit.leakage_ceiling), subject=f"{of} in {elsewhere}")


def test_images_in_two_classes(data_record, policy, accept):
    """No image lies in two classes."""
    accept(at_most(leakage.labels_in_conflict(data_record), policy.audit.leakage_ceiling), subject="all images")


def test_unreadable_images(data_record, accept):
    """Every image can be read."""
    accept(at_most(leakage.unreadable(data_record), 0.0), subject="all images")


def test_metadata_probe(data_record, policy, accept):
    """File and header do not give the class away."""
    accept(at_most(probe_skill.metadata_skill(data_record), policy.audit.metadata_ceiling), subject="file and header")


def test_border_probe(data_record, policy, accept, border_probe):
    """Nor does the border, shown to a linear model without the rest of the image."""
    skill = probe_skill.border_skill(data_record, data_record.answers(border_probe))
    accept(at_most(skill, policy.audit.border_probe_ceiling), subject=border_probe.name)


@pytest.mark.needs("sources")
def test_source_confounding(data_record, policy, accept):
    """The class is not all but decided by where an image comes from."""
    accept(at_most(leakage.association(data_record), policy.audit.association_ceiling), subject="source and class")


def test_beats_trivial_probes(data_record, evidence, accept):
    """The model is better than the best of the cheap probes on the same images."""
    probe, answers = probe_skill.best_probe(data_record)
    change = comparison.balanced_change(answers, data_record.judged(evidence.test))
    accept(at_least(probe_skill.against(probe, change), 0.0), subject="test")


def test_pixel_probe(data_record, accept, pixel_probe):
    """For comparison: what other cut-down images give a linear model, and the whole image."""
    accept(
        descriptive(probe_skill.probe_skill(data_record, data_record.answers(pixel_probe))), subject=pixel_probe.name
    )


@pytest.mark.needs("masks")
def test_anatomy_probe(data_record, accept):
    """For comparison: the lungs alone, the image without them, and no more than their outline."""
    for probe in probes.ANATOMY:
        accept(descriptive(probe_skill.probe_skill(data_record, data_record.answers(probe))), subject=probe.name)


@pytest.mark.needs("sources")
def test_source_probe(data_record, accept):
    """For comparison: whether the whole image gives its source away."""
    accept(descriptive(probe_skill.source_skill(data_record)), subject="source")


def test_recall_on_all_images(evidence, accept, label):
    """For comparison: recall with the test images that are also in train."""
    accept(descriptive(metrics.recall(evidence.test, label)), subject=label)


def test_duplicate_images(data_record, accept, any_split):
    """For reading: copies within a split."""
    accept(descriptive(leakage.duplicate_images(data_record, any_split)), subject=any_split)


def test_file_names_in_two_splits(data_record, accept, two_splits):
    """For reading: equal file names of one class in two splits, which may be the same images."""
    of, elsewhere = two_splits
    accept(descriptive(leakage.names_shared(data_record, of, elsewhere)), subject=f"{of} in {elsewhere}")


def test_atypical_images(data_record, accept):
    """For reading: images that are blank, all but black or white, very long, inverted, or unlike any other."""
    accept(descriptive(leakage.atypical_images(data_record)), subject="all images")


def test_doubtful_labels(data_record, accept):
    """For reading: test images whose class the cheapest model denies, and is sure of it."""
    accept(descriptive(probe_skill.doubtful_labels(data_record)), subject="test")


def test_images_per_class(data_record, policy, accept, label):
    """For reading: how much the test images of a class can prove."""
    accept(descriptive(leakage.images_of(data_record, label, policy.recall.floor(label))), subject=label)
