"""The front of the package: what `import flawtrace` offers."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import flawtrace
from flawtrace import verbs

ROOT = Path(__file__).parents[2]


def test_the_front_shows_its_public_words_alone() -> None:
    assert sorted(dir(flawtrace)) == sorted([*flawtrace.__all__, "__version__"])
    assert not [name for name in dir(flawtrace) if name.startswith("_") and name != "__version__"]
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", flawtrace.__version__)


def test_every_public_word_is_there() -> None:
    for name in flawtrace.__all__:
        assert getattr(flawtrace, name).__name__ == name


def test_other_words_are_not() -> None:
    with pytest.raises(AttributeError, match="import_module"):
        _ = flawtrace.import_module  # type: ignore[attr-defined]


def test_an_error_can_be_caught_before_torch_is_loaded() -> None:
    script = "import flawtrace, sys; flawtrace.FlawtraceError; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_what_verbs_name_is_at_the_front() -> None:
    """Errors and warnings of their docstrings, and classes that they return."""
    named: set[str] = set()
    for name in verbs.__all__:
        verb = getattr(verbs, name)
        if inspect.isfunction(inspect.unwrap(verb)):
            named |= set(re.findall(r"\b[A-Z]\w+(?:Error|Warning)\b", inspect.getdoc(verb) or ""))
            returned = inspect.unwrap(verb).__annotations__["return"]
            named |= set(re.findall(r"flawtrace[\w.]*\.(\w+)", str(returned)))
    assert named <= set(flawtrace.__all__)
    assert named


def test_checkers_of_types_see_the_same_words() -> None:
    tree = ast.parse((ROOT / "src/flawtrace/__init__.py").read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    seen = {alias.name for node in imports if "flawtrace" in str(node.module) for alias in node.names}
    assert seen == set(flawtrace.__all__)
