"""What labels mean: a type of defect, pixels to ignore, or nothing."""

import re

from flawtrace.data.places import NO_TYPE, NORMAL

_IGNORED = frozenset({"ignored", "ignore", "void", "dontcare"})
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])", re.IGNORECASE)
"""Names that Windows keeps for itself."""
_NOTHING = NORMAL | {"background"}


def is_ignored(label: str) -> bool:
    """Whether pixels with this label are to be ignored.

    >>> is_ignored("__ignore__"), is_ignored("crack")
    (True, False)
    """
    return _plain(label) in _IGNORED


def is_nothing(label: str) -> bool:
    """Whether the label says that there is no defect.

    >>> is_nothing("_background_"), is_nothing("OK"), is_nothing("crack")
    (True, True, False)
    """
    return _plain(label) in _NOTHING


def folder_name(label: str) -> str:
    """The defect type of a label: a name that every system takes for one folder, and for no other place.

    >>> folder_name("crack"), folder_name("../crack / deep?"), folder_name(".."), folder_name("Con")
    ('crack', '_crack _ deep_', 'defect', 'Con_')
    """
    name = re.sub(r'[/\\:*?"<>|\x00-\x1f]', "_", label)[:100].strip(" .")
    return f"{name}_" if _DEVICE.fullmatch(name) else name or NO_TYPE


def _plain(label: str) -> str:
    return label.strip(" _").lower().replace(" ", "").replace("'", "")
