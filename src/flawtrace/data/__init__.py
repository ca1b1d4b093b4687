"""The wing data."""
