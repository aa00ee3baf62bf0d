"""The data has no leakage, and cheap probes cannot predict the label."""

import pytest

from roentgate import at_least, at_most, descriptive, leakage, metrics, probe_skill, probes


def test_images_in_two_splits(data_record, policy, accept, two_splits):
    """No image of a split, or a near-duplicate of it, is in another."""
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
    """File and header do not predict the label."""
    accept(at_most(probe_skill.metadata_skill(data_record), policy.audit.metadata_ceiling), subject="file and header")


def test_file_size_probe(data_record, accept):
    """Descriptive: how well the size of the file alone predicts the label.

    The size of a compressed file follows from what the image shows.
    """
    accept(descriptive(probe_skill.size_skill(data_record)), subject="size of the file")


def test_border_probe(data_record, policy, accept, border_probe):
    """A linear model cannot predict the label from the border alone."""
    skill = probe_skill.border_skill(data_record, data_record.answers(border_probe))
    accept(at_most(skill, policy.audit.border_probe_ceiling), subject=border_probe.name)


@pytest.mark.needs("sources")
def test_source_confounding(data_record, policy, accept):
    """The source of an image does not determine its class."""
    accept(at_most(leakage.association(data_record), policy.audit.association_ceiling), subject="source and class")


def test_beats_trivial_probes(data_record, policy, evidence, accept):
    """The model is better than a cheap probe that sees no lungs.

    How it compares with one that sees them is descriptive, unless the policy asks that it be worth a network.
    """
    gain = probe_skill.gain_over(data_record, probes.WITHOUT_LUNGS, evidence.test)
    accept(at_least(gain, probe_skill.ANY_GAIN), subject="border or background")
    gain = probe_skill.gain_over(data_record, probes.WITH_LUNGS, evidence.test)
    gates = policy.audit.whole_image_probe == "gates"
    accept(at_least(gain, probe_skill.ANY_GAIN) if gates else descriptive(gain), subject="whole image")


def test_pixel_probe(data_record, accept, pixel_probe):
    """Descriptive: the skill of linear models on whole and on reduced images."""
    accept(
        descriptive(probe_skill.probe_skill(data_record, data_record.answers(pixel_probe))), subject=pixel_probe.name
    )


@pytest.mark.needs("masks")
def test_anatomy_probe(data_record, accept):
    """Descriptive: the skill of probes on lungs, background and lung outline."""
    for probe in probes.ANATOMY:
        accept(descriptive(probe_skill.probe_skill(data_record, data_record.answers(probe))), subject=probe.name)


@pytest.mark.needs("sources")
def test_source_probe(data_record, accept):
    """Descriptive: how well the whole image predicts its source."""
    accept(descriptive(probe_skill.source_skill(data_record)), subject="source")


def test_recall_on_all_images(evidence, accept, label):
    """Descriptive: recall with the test images that are also in train."""
    accept(descriptive(metrics.recall(evidence.test, label)), subject=label)


def test_duplicate_images(data_record, accept, any_split):
    """Descriptive: near-duplicates within a split."""
    accept(descriptive(leakage.duplicate_images(data_record, any_split)), subject=any_split)


def test_file_names_in_two_splits(data_record, accept, two_splits):
    """Descriptive: equal file names of one class in two splits.

    They may be the same images.
    """
    of, elsewhere = two_splits
    accept(descriptive(leakage.names_shared(data_record, of, elsewhere)), subject=f"{of} in {elsewhere}")


def test_atypical_images(data_record, accept):
    """Descriptive: images that are blank, nearly black or white, very long, inverted or unlike any other."""
    accept(descriptive(leakage.atypical_images(data_record)), subject="all images")


def test_doubtful_labels(data_record, accept):
    """Descriptive: test images whose label the cheapest model confidently contradicts."""
    accept(descriptive(probe_skill.doubtful_labels(data_record)), subject="test")


def test_images_per_class(data_record, policy, accept, label):
    """Descriptive: what the number of test images of a class can settle."""
    accept(descriptive(leakage.images_of(data_record, label, policy.recall.floor(label))), subject=label)
