"""The wing pictures."""
