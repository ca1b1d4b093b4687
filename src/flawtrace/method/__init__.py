"""The wing method."""
