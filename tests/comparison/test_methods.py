"""Files of methods: what they say, and what is refused before any cell runs."""

from pathlib import Path

import pytest

from flawtrace.comparison.bench import read_rows
from flawtrace.comparison.errors import UnknownMethodError
from flawtrace.comparison.methods import DEFAULT, Method, chosen, read_methods
from flawtrace.ground.errors import SettingsError, UnknownSettingError


def written(folder: Path, text: str) -> Path:
    file = folder / "methods.toml"
    file.write_text(text)
    return file


def test_methods_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = (
        '[b]\nsettings = {"sampler.kind" = "uniform"}\n[a]\ncommand = ["{python}", "{here}/a.py", "{maps}"]\n'
    )
    ours, other = read_methods(written(tmp_path, text))
    assert (ours.name, other.name) == ("b", "a")
    assert ours.config(seed=7, labels=3).sampler.kind == "uniform"
    assert (ours.config(7, 3).seed, ours.config(7, 3).labels) == (7, 3)
    places = {"python": Path("/p"), "here": other.here, "maps": Path("/m")}
    assert other.filled(places) == ["/p", f"{tmp_path}/a.py", "/m"]


def test_methods_have_what_their_file_shares_unless_they_say_otherwise(tmp_path: Path) -> None:
    text = (
        '[shared]\nsettings = {"cycles" = 1, "labels" = 0}\n[a]\n[b]\nsettings = {"cycles" = 3}\n'
        '[c]\ncommand = ["{maps}"]\n'
    )
    a, b, c = read_methods(written(tmp_path, text))
    assert a.settings == {"cycles": 1, "labels": 0}
    assert b.identity == {"preset": "light", "cycles": 3, "labels": 0}
    assert c.settings == {}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[a]\nsettings = {"cycles" = 0}', "cycles"),
        ('[a]\nsettings = {"cycles" = 1}\ncommand = ["x"]', "either settings"),
        ('[a]\ncommand = ["{spilt}"]', "spilt"),
        ('[a]\ncommand = ["{"]', "its command may name"),
        (
            '[a]\nsettings = {"labels" = 3}',
            "labels = 3 would count for nothing, because the protocol decides",
        ),
        ('[shared]\nsettings = {"labels" = 3}\n[a]', "labels = 3 would count for nothing"),
        ('[shared]\nsettings = {"seed" = 7}\n[a]', "seed is that of each trial"),
        ('[a]\nsettings = {"seed" = 7}', "seed is that of each trial"),
        ("[a]\nfoo = 1", "foo"),
        ('[shared]\ncommand = ["x"]', "command"),
        ("[a", "TOML|methods"),
        ("a = 1", "methods"),
    ],
)
def test_a_method_that_cannot_work_is_refused_by_name(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        read_methods(written(tmp_path, text))


def test_a_typo_in_a_setting_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownSettingError, match=r"sampler\.kind"):
        read_methods(written(tmp_path, '[a]\nsettings = {"sampler.kin" = "uniform"}'))


def test_a_typo_in_a_name_is_told_with_the_nearest() -> None:
    assert chosen(DEFAULT, ("pixels",)) == (DEFAULT[1],)
    assert chosen(DEFAULT, ()) == DEFAULT
    with pytest.raises(UnknownMethodError, match="pixels"):
        chosen(DEFAULT, ("pixel",))


def test_a_method_is_what_it_does_not_what_it_is_called() -> None:
    assert Method(name="a").identity == Method(name="b").identity
    assert Method(name="a").identity != Method(name="a", settings={"cycles": 3}).identity


def test_committed_results_are_of_the_methods_as_they_are() -> None:
    """Else the same command would not go on with them, and their names would mean two things."""
    benchmarks = Path(__file__).parents[2] / "benchmarks"
    for file in benchmarks.rglob("*.toml"):
        identities = {method.name: method.identity for method in read_methods(file)}
        for row in read_rows(benchmarks / "results" / f"{file.stem}.jsonl"):
            assert row["settings"] == identities[row["method"]], row["trial"]


def test_the_files_of_the_project_can_be_read() -> None:
    benchmarks = Path(__file__).parents[2] / "benchmarks"
    files = [file for file in benchmarks.rglob("*.toml") if read_methods(file)]
    assert files
