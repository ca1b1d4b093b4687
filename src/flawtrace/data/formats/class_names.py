"""The names of classes, as programs list them."""

import json
import re
from contextlib import suppress

from flawtrace.data.formats.wording import is_nothing

_YAML = re.compile(
    r"^names:[ \t]*(\[[^\]]*\]|\{[^}]*\}|)[ \t]*(?:#.*)?\n?((?:[ \t-].*\n?|\n)*)", re.MULTILINE
)
_COLOUR = re.compile(
    r"^([^#:\n][^:\n]*):\s*([0-9]{1,3}),\s*([0-9]{1,3}),\s*([0-9]{1,3})\s*(?::|$)", re.MULTILINE
)


def from_lines(text: str) -> dict[int, str]:
    """One name a line, the first is class 0.

    >>> from_lines("dent\\nscratch\\n")
    {0: 'dent', 1: 'scratch'}
    """
    return dict(enumerate(line.strip() for line in text.strip().splitlines()))


def from_yaml(text: str) -> dict[int, str]:
    """The entry `names` of a data set of YOLO, in any of the three ways it is written; empty without one.

    >>> from_yaml("names: ['a', b]"), from_yaml("nc: 2\\nnames:\\n- a\\n- b\\n")
    ({0: 'a', 1: 'b'}, {0: 'a', 1: 'b'})
    >>> from_yaml("names:\\n  3: 'a'\\n")
    {3: 'a'}
    """
    found = _YAML.search(text)
    if found is None:
        return {}
    inline, below = found.groups()
    items = inline[1:-1].replace("\n", " ").split(",") if inline else below.splitlines()
    names: dict[int, str] = {}
    for item in items:
        stripped = re.sub(r"\s+#.*$", "", item).strip().removeprefix("- ")
        numbered = re.fullmatch(r"([0-9]+)\s*:\s*(.+)", stripped)
        if stripped:
            number, name = (int(numbered[1]), numbered[2]) if numbered else (len(names), stripped)
            names[number] = _unquoted(name)
    return names


def of_numbers(text: str) -> dict[int, str]:
    """For pictures of classes, in which 0 is the background: a number before each name, or counted from 1;
    from 0 if the first name says that it is the background.

    >>> of_numbers("1 dent\\n4: scratch\\n"), of_numbers("dent\\nscratch\\n")
    ({1: 'dent', 4: 'scratch'}, {1: 'dent', 2: 'scratch'})
    >>> of_numbers("_background_\\ndent\\n")
    {0: '_background_', 1: 'dent'}
    """
    lines = [line.strip() for line in text.splitlines() if line.strip() and line[0] != "#"]
    numbered = [re.fullmatch(r"([0-9]+)\s*[:,;=\s]\s*(.+)", line) for line in lines]
    if lines and all(numbered):
        return {int(found[1]): found[2] for found in numbered if found}
    names = [line.split(":")[0] for line in lines if line.strip("_") != "ignore"]
    return dict(enumerate(names, start=0 if names and is_nothing(names[0]) else 1))


def of_colours(text: str) -> dict[int, str]:
    """Lines of `name:red,green,blue`, as CVAT writes them, by colour (0xRRGGBB); empty if there are none.

    >>> of_colours("# label:color_rgb:parts:actions\\ndent:250,50,83::\\n")
    {16396883: 'dent'}
    """
    found = _COLOUR.findall(text)
    return {int(red) << 16 | int(green) << 8 | int(blue): name.strip() for name, red, green, blue in found}


def _unquoted(text: str) -> str:
    with suppress(ValueError):
        if isinstance(found := json.loads(text), str):
            return found
    return text.strip().strip("'\"")
