"""What a station keeps: images and masks by content, labels, detectors, jobs, and the history of verdicts."""
