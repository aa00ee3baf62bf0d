"""The checks that a run must record, suite by suite."""

from collections.abc import Mapping
from typing import Final

CHECKS: Final[Mapping[str, tuple[str, ...]]] = {
    "alignment": (
        "stream_order_repeats",
        "stream_complete",
        "images_match_rows",
        "labels_match_rows",
        "class_columns_match",
        "exchanged_columns_control",
        "predictions_match_rows",
        "held_out_images_in_training",
    ),
    "inference": (
        "predictions_repeat",
        "predictions_batch_invariant",
        "augmentation_identity_at_inference",
        "augmentation_active_in_training",
        "evaluation_streams_clean",
        "outputs_are_probabilities",
        "answers_are_finite",
        "reload_preserves_predictions",
    ),
    "recall": ("recall_floor", "shuffled_answers_control", "confusion_ceiling", "macro_auroc_floor", "beats_majority"),
    "border": (
        "border_mask_flips",
        "border_masked_recall",
        "border_swap",
        "border_only_skill",
        "interior_mask_control",
        "smallest_flipping_mask",
        "border_invariance",
    ),
    "data": (
        "images_in_two_splits",
        "patients_in_two_splits",
        "images_in_two_classes",
        "unreadable_images",
        "metadata_probe",
        "file_size_probe",
        "border_probe",
        "source_confounding",
        "beats_trivial_probes",
        "pixel_probe",
        "anatomy_probe",
        "source_probe",
        "recall_on_all_images",
        "duplicate_images",
        "file_names_in_two_splits",
        "atypical_images",
        "doubtful_labels",
        "images_per_class",
    ),
    "attention": (
        "lung_fields_found",
        "skill_without_lungs",
        "skill_with_lungs_only",
        "retained_skill_by_infill",
        "redundant_cues",
        "lungs_versus_random_region",
        "lung_background_conflict",
        "background_swap_control",
        "background_swap_positive_control",
        "background_swap_auroc",
        "annotation_swap",
        "drawn_marker",
        "inverted_images",
        "non_chest_output",
    ),
    "calibration": ("brier_score", "log_loss", "calibration_error", "temperature_scaling_gain", "training_curve"),
    "ledger": ("test_set_evaluations",),
    "robustness": ("corruption_skill", "corruption_curve", "small_rotation", "small_shift", "resizing_kernel"),
    "comparison": (
        "recall_noninferiority",
        "accuracy_noninferiority",
        "auroc_noninferiority",
        "negative_flips",
        "border_change",
    ),
    "claims": ("claims_consistent", "claim_reproduced"),
}
"""What ``"all"`` stands for in a policy's ``[gate.required]``."""

CORE: Final = ("alignment", "inference", "recall", "border")
"""The suites whose checks are required if a policy names none."""
