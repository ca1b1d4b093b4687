"""The wing detector."""
