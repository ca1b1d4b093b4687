"""What every wing stands on, and what knows none of them.

Settings (`config`, its `groups`, `presets`), names of tensors (`shapes`), files that are whole or absent
(`files`), processor and accelerator (`devices`, `memory`), networks with their optimizer and the seeds of
everything (`learner`), and the base of all errors (`errors`). Each file is public as it is, and none is
imported here, so that the command line can read settings without loading torch.
"""
