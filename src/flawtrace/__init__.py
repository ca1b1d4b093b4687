"""Outlines defects in product images after a handful of labelled examples."""
