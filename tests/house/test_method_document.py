"""docs/method.md: below each formula stands a line of code that is really there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES = re.findall(
    r"^ *\[`[\w/]+\.py`\]\(\.\./src/flawtrace/([\w/]+\.py)\): `(.+)`$",
    (ROOT / "docs/method.md").read_text(),
    re.MULTILINE,
)


def test_the_document_quotes_code() -> None:
    assert len(LINES) > 15


@pytest.mark.parametrize(("file", "line"), LINES)
def test_each_formula_names_a_line_of_code(file: str, line: str) -> None:
    code = (ROOT / "src/flawtrace" / file).read_text()
    assert line in {part.strip() for part in code.splitlines()}
