"""The wing ground."""
