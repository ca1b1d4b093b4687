"""What the README shows runs, and what documents point to is there."""

import ast
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import flawtrace
from flawtrace.cli import app as cli

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/**/*.md")])


def blocks(language: str) -> str:
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL))


@pytest.mark.parametrize("line", re.findall(r"^flawtrace .*?(?=\s{2,}#|$)", blocks("sh"), re.MULTILINE))
def test_every_command_is_understood(line: str) -> None:
    command, bound, _ = cli.app.parse_args(shlex.split(line)[1:])
    name = command.__name__.rstrip("_").replace("_", "-")
    assert name in shlex.split(line)[1:3]  # `labels import` is two words
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


def test_the_picture_can_be_made_again(run: Path, category: Path, tmp_path: Path) -> None:
    (tmp_path / "run").symlink_to(run)
    (tmp_path / "images").symlink_to(category)
    made = tmp_path / "demo.jpg"
    subprocess.run([sys.executable, ROOT / "docs/make_picture.py", tmp_path, made], check=True)
    assert made.stat().st_size > 10_000


def architecture() -> dict[str, set[str]]:
    """The files that each wing's table lists."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    sections = re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    return {wing: set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) for wing, table in sections}


def test_every_file_has_its_line_in_the_architecture() -> None:
    wings = {folder for folder in (ROOT / "src/flawtrace").iterdir() if (folder / "__init__.py").exists()}
    files = {wing.name: {file.stem for file in wing.glob("*.py")} - {"__init__"} for wing in wings}
    assert architecture() == files


def test_no_wing_hides_a_public_word() -> None:
    wings = {folder.name for folder in (ROOT / "src/flawtrace").iterdir()}
    assert wings.isdisjoint(flawtrace.__all__), "importing the wing would replace the word"


def public_words(file: Path) -> set[str]:
    """Its `__all__`, read and not imported: what a wing needs may not be installed."""
    (words,) = [
        ast.literal_eval(node.value)
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    return set(words)


def test_other_wings_import_public_words_alone() -> None:
    package, strangers = ROOT / "src/flawtrace", []
    for file in package.rglob("*.py"):
        wing = file.relative_to(package).parts[0]
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("flawtrace."):
                other, _, inside = str(node.module).removeprefix("flawtrace.").partition(".")
                if other not in (wing, "ground"):
                    words = {inside} if inside else {alias.name for alias in node.names}
                    strange = words - public_words(package / other / "__init__.py")
                    strangers += [f"{file.name}: {node.module} {word}" for word in strange]
    assert strangers == []


def anchors(document: Path) -> set[str]:
    """The places that a link can point to: headings, as the hosts of repositories spell them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", document.read_text()):
        name, _, anchor = link.partition("#")
        target = (document.parent / name) if name else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_file_of_rows_is_explained() -> None:
    said = "".join(document.read_text() for document in DOCUMENTS)
    rows = {f"results/{file.name}" for file in ROOT.glob("benchmarks/results/*.jsonl")}
    assert {name for name in rows if name not in said} == set()
    assert set(re.findall(r"results/[\w-]+\.jsonl", said)) == rows
