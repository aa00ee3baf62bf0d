"""Plain words for suites and checks."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the scorecard: one suite, or several that answer one question.

    ``place`` is its place in order of consequence.
    """

    title: str
    question: str
    place: int


QUESTIONS: Final = {
    "alignment": "Is row i's answer really about row i?",
    "inference": "Is augmentation off when it should be, and on when it should be?",
    "recall": "Does one class hide behind the average?",
    "border": "Does the border decide?",
    "robustness": "Does the answer survive what acquisition does to an image?",
    "data": "How well do the data predict the label without a model?",
    "ledger": "How many models have these test images judged?",
    "comparison": "Is the candidate worse than the reference?",
    "claims": "Can the published figures all be true, and are they true of this model?",
    "attention": "Is it the lungs?",
    "calibration": "Do the probabilities mean what they say?",
}

_SECTIONS: Final = (
    ("Data", ("data",)),
    ("Performance", ("recall",)),
    ("Lungs", ("attention",)),
    ("Border", ("border",)),
    ("Robustness", ("robustness",)),
    ("Calibration", ("calibration",)),
    ("Comparison", ("comparison",)),
    ("Published figures", ("claims",)),
    ("Pipeline", ("alignment", "inference")),
    ("Test-set use", ("ledger",)),
)
"""Titles and suites, in order of consequence."""


def section_of(suite: str) -> Section:
    """Return the section of a suite. A suite that is not known here is its own, after all others."""
    for place, (title, suites) in enumerate(_SECTIONS):
        if suite in suites:
            return Section(title, " ".join(QUESTIONS[each] for each in suites), place)
    return Section(suite, "", len(_SECTIONS))


CLAIMS: Final = {
    "stream_order_repeats": "order",
    "stream_complete": "completeness",
    "images_match_rows": "images",
    "labels_match_rows": "labels",
    "class_columns_match": "class columns",
    "predictions_match_rows": "equal predictions row by row",
    "held_out_images_in_training": "no file of validation or test in training",
    "predictions_repeat": "repeatability",
    "predictions_batch_invariant": "independence of the batch",
    "augmentation_identity_at_inference": "augmentation off at inference",
    "augmentation_active_in_training": "augmentation on in training",
    "evaluation_streams_clean": "unaltered evaluation images",
    "outputs_are_probabilities": "probabilities as outputs",
    "reload_preserves_predictions": "reload",
    "answers_are_finite": "finite answers",
    "shuffled_answers_control": "control caught: shuffled answers are refused",
    "exchanged_columns_control": "control caught: exchanged columns are refused",
    "images_in_two_splits": "no image in two splits",
    "patients_in_two_splits": "no patient in two splits",
    "images_in_two_classes": "no image in two classes",
    "unreadable_images": "every image can be read",
    "metadata_probe": "file and header do not tell the class",
    "border_probe": "the border does not tell the class",
    "source_confounding": "source and class are not confounded",
    "beats_trivial_probes": "better than simple baselines",
    "recall_floor": "sensitivity",
    "confusion_ceiling": "costly confusions are rare",
    "macro_auroc_floor": "macro AUROC",
    "beats_majority": "better than guessing",
    "skill_without_lungs": "little skill is left without the lungs",
    "lung_background_conflict": "predictions follow the lungs, not the background",
    "annotation_swap": "burned-in annotations do not draw predictions",
    "border_mask_flips": "masking the border changes few predictions",
    "border_masked_recall": "sensitivity with the border masked",
    "border_swap": "another class's border does not draw predictions",
    "border_only_skill": "little skill is left with the border alone",
    "corruption_skill": "noise, exposure and loss of detail cost little",
    "small_rotation": "a small rotation costs little",
    "small_shift": "a small shift costs little",
    "resizing_kernel": "the resizing kernel matters little",
    "temperature_scaling_gain": "temperature scaling would gain little",
    "recall_noninferiority": "no class is recognised worse than by the reference",
    "accuracy_noninferiority": "not less accurate than the reference",
    "auroc_noninferiority": "AUROC not worse than the reference's",
    "border_change": "the border matters no more than to the reference",
    "claims_consistent": "the published figures can all be true",
    "claim_reproduced": "the published figures are reproduced",
    "test_set_evaluations": "few models were judged on these images",
}
"""The claim of a check as a reader would say it. Any other check is named by its id."""


def claim(check: str) -> str:
    """Return the claim of a check, or the words of its id."""
    return CLAIMS.get(check, check.replace("_", " "))
