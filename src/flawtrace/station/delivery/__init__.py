"""Tells others of verdicts: signed, in order, and at least once.

A receiver's address and secret, and a source of lines that knows how far it was delivered, enter; requests
leave. The file of verdicts of a watched folder is such a source, and the history of a station.
"""
