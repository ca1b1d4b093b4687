"""What the files in a run's folder are called."""

from pathlib import Path

DETECTOR_NAME = "detector.safetensors"
SETTINGS_NAME = "settings.json"
IMAGES_NAME = "images.json"
"""Which images and masks the run was started with."""
LOG_NAME = "log.jsonl"
CHECKPOINT_NAME = "checkpoint.safetensors"
SUMMARY_NAME = "training.json"
"""Written at the end: a run without it is not finished."""
VISITS_NAME = "visits.safetensors"
PICTURES_NAME = "suspects.safetensors"


def summary_file(run: Path) -> Path:
    """Of a run, given by its folder or by its detector's file; it may not be there."""
    return (run if run.is_dir() else run.parent) / SUMMARY_NAME
