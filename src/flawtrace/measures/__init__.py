"""The wing measures."""
