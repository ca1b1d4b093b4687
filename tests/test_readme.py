"""What the README shows runs."""

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from flawtrace import cli

README = (Path(__file__).parents[1] / "README.md").read_text()


def blocks(language: str) -> str:
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL))


@pytest.mark.parametrize("line", re.findall(r"^flawtrace .*?(?=\s{2,}#|$)", blocks("sh"), re.MULTILINE))
def test_every_command_is_understood(line: str) -> None:
    command, bound, _ = cli.app.parse_args(shlex.split(line)[1:])
    assert command.__name__ == shlex.split(line)[1]
    assert bound is not None


def test_the_python_example_runs(
    category: Path, tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(category, "parts")
    shutil.copytree(category / "test/hole", "new")
    code = blocks("python").replace('{"labels": 5, "seed": 42}', repr(tiny))
    exec(compile(code, "README.md", "exec"), {})
    assert (tmp_path / "found/predictions.csv").exists()


def test_every_module_has_its_line_in_the_architecture() -> None:
    root = Path(__file__).parents[1]
    text = (root / "ARCHITECTURE.md").read_text()
    modules = {file.stem for file in (root / "src/flawtrace").glob("*.py")} - {"__init__"}
    assert {name for name in modules if f"`{name}`" not in text} == set()
