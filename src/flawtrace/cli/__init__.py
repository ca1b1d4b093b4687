"""The command line: parse, call one verb, print.

Arguments enter `app.main`; text on standard output and an exit code leave. One file for each group of
commands; `console` prints, `flags` has what commands share. Torch is loaded when a command needs it.
"""
