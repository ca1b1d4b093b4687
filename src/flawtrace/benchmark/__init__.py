"""The wing benchmark."""
