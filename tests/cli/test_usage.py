"""Command lines that cannot be used: one exit code, a way out, and no wait for torch."""

import subprocess
import sys
from pathlib import Path

import pytest

from flawtrace.cli import app as cli
from flawtrace.cli.checks import secret_of
from flawtrace.cli.errors import SecretError


def call(arguments: list[object], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return int(stopped.value.code or 0), printed.out, " ".join(printed.err.split())


COMMANDS = [
    "inspect", "train", "refit", "evaluate", "compare", "suggest", "decide", "predict", "export", "bench",
    "benchmark", "doctor", "demo", "settings", "serve", "watch",
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_flag_exits_with_2_in_every_command(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needed = {"benchmark": 1, "compare": 3, "demo": 0, "settings": 0, "evaluate": 2, "refit": 2}
    paths = [tmp_path] * needed.get(command, 1)
    out = ["-o", tmp_path] if command in ("train", "refit", "benchmark", "watch") else []
    code, _, err = call([command, *paths, *out, "--jsonn", "1"], capsys)
    assert code == cli.UNUSABLE
    assert err.startswith("error:")
    assert "--json" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["predict", "RUN", "x.png", "--thresold", "1"], "Did you mean --threshold?"),
        (["train", "DIR", "-o", "x", "--tile-sid", "64"], "Did you mean --tile-side?"),
        (["train-all", "DIR", "--resume"], "No option of `flawtrace train-all` is called '--resume'."),
        (["train-all", "DIR", "--resume"], "`flawtrace train` has such an option."),
        (["train-all", "DIR", "--skipbad"], "Did you mean --skip-bad?"),
        (["tune", "DIR", "-o", "x", "--settings", "x"], "`flawtrace train` and `flawtrace train-all` have"),
        (["train", "DIR", "-o", "x", "--jobs", "3"], "`flawtrace benchmark` has such an option."),
        (["settings", "--resume"], "`flawtrace train` has such an option."),
        (["train", "DIR", "-o", "x", "--qqqq"], "`flawtrace train --help` and `flawtrace settings` list"),
        (["train", "DIR", "-o", "x", "--sampler.stride"], "--sampler.stride needs a value"),
        (["train", "DIR", "-o", "x", "--sampler.stride", "13"], "must be a multiple of cell"),
        (["train", "DIR", "-o", "x", "--labels", "few"], "--labels"),
        (["predict", "RUN"], "No images were given to `predict`"),
        (["suggest", "RUN"], "flawtrace suggest run/ new-images/"),
        (["benchmark", "-o", "x"], "No folder was given"),
        (["settings", "sampler.strid"], "Did you mean sampler.stride?"),
        (["train", "DIR"], "--out requires an argument. For example: flawtrace train parts/ -o run/"),
        (["labels", "import", "x"], "For example: flawtrace labels import annotations.json"),
        (["demo", "--seed"], "For example: flawtrace demo -o /tmp/demo --seed 1"),
    ],
)
def test_what_cannot_be_used_is_said_with_exit_code_2(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = call([tmp_path if word in ("DIR", "RUN") else word for word in arguments], capsys)
    assert code == cli.UNUSABLE
    assert said in err


@pytest.mark.parametrize(
    ("command", "flag"),
    [
        ("train", "--labels -1"),
        ("train", "--tile-side 0"),
        ("train", "--seed -1"),
        ("train", f"--seed {2**63}"),
        ("train", "--max-misses 1.5"),
        ("train", "--max-false-alarms nan"),
        ("train", "--sampler.stride -8"),
        ("train", "--cycles many"),
        ("refit", "--labels -2"),
        ("predict", "--min-area -5"),
        ("predict", "--threshold 1.01"),
        ("decide", "--threshold -0.1"),
        ("decide", "--max-misses 2"),
        ("suggest", "--count 0"),
        ("bench", "--batch 0"),
        ("bench", "--threads 100000000"),
        ("demo", "--seed -1"),
    ],
)
def test_a_number_out_of_range_is_blamed_on_its_flag(  # noqa: PLR0917 (fixtures)
    command: str, flag: str, run: Path, category: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("seed = 1")
    paths = {"train": [category, "--settings", settings], "refit": [run, category], "demo": []}
    name, value = flag.split()
    out = ["-o", tmp_path / "out"] if command in ("train", "refit", "demo") else []
    arguments = [command, *paths.get(command, [run]), *out, f"{name}={value}"]
    code, _, err = call([*arguments, *([category] if command in ("predict", "suggest") else [])], capsys)
    assert code == cli.UNUSABLE
    assert name in err
    assert "settings.toml" not in err
    assert "`flawtrace settings`" not in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "prats", "-o", "x"], "Did you mean {}/parts?"),
        (["train", "phooto", "-o", "x"], "Expected a folder of images. Check the path."),
        (["labels", "import", "notes.png", "-o", "x"], "images. Check the path."),
        (["labels", "import", "parts", "-o", "x", "--images", "prats"], "Did you mean {}/parts?"),
        (["inspect", "photo.png"], "photo.png is a file"),
        (["predict", "nothing", "photo.png"], "No such file or folder: {}/nothing"),
        (["predict", "parts", "photo.png"], "the run comes first"),
        (["predict", "photo.png", "parts"], "There is no detector in {}/photo.png. Expected"),
        (["evaluate", "stopped", "parts"], "flawtrace train ... --resume"),
        (["compare", "parts", "stopped", "parts"], "There is no detector in {}/parts"),
        (["labels", "export", "nothing", "-o", "x", "--format", "coco"], "No such file or folder"),
        (["benchmark", "nothing", "-o", "x"], "No such file or folder"),
        (["export", "nothing"], "No such file or folder"),
        (["bench", "nothing"], "No such file or folder"),
        (["decide", "nothing"], "No such file or folder"),
        (["refit", "nothing", "parts", "-o", "x"], "No such file or folder"),
    ],
)
def test_a_path_that_cannot_be_meant_is_named_with_a_way_out(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "photo.png").write_text("")
    (tmp_path / "stopped").mkdir()
    (tmp_path / "stopped/checkpoint.safetensors").write_text("")
    names = {"phooto", "notes.png", "prats", "parts", "photo.png", "nothing", "stopped"}
    code, _, err = call([tmp_path / word if word in names else word for word in arguments], capsys)
    assert code == cli.FAILED
    assert said.format(tmp_path) in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["train", "--help"],
        ["settings", "sampler"],
        ["train", "nowhere", "-o", "x"],
        ["train", ".", "-o", "x", "--cell", "3"],
        ["predict", "nowhere", "x.png"],
    ],
)
def test_what_needs_no_torch_does_not_wait_for_it(arguments: list[str]) -> None:
    script = (
        "import sys; from flawtrace.cli.app import main\n"
        f"try: main({arguments})\nexcept SystemExit: sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("command", ["train", "train-all", "tune"])
def test_what_is_meant_instead_is_never_what_was_not_understood(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {cli.as_flag(option) for each in cli.COMMANDS for option in cli.options_of(each)}
    for option in sorted(options):
        _, _, err = call([command, tmp_path, "-o", tmp_path / "out", f"{option}=?"], capsys)
        assert f"Did you mean {option}?" not in err


def test_the_main_flags_of_train_stand_in_a_group_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(["train", "--help"], capsys)
    _, main, others = out.partition("Main parameters")
    main, _, others = others.partition("─ Parameters")
    for flag in ("--out", "--labels", "--tile-side", "--max-false-alarms", "--max-misses", "--resume"):
        assert flag in main
        assert flag not in others


def test_exit_codes_are_explained_once(capsys: pytest.CaptureFixture[str]) -> None:
    out = " ".join(call(["--help"], capsys)[1].split())
    for code in (cli.SUCCESS, cli.FAILED, cli.UNUSABLE, 3, cli.INTERRUPTED, cli.UNREAD):
        assert f"{code} " in out.partition("Exit codes:")[2]
    assert "Exit codes" not in call(["train", "--help"], capsys)[1]


def test_one_setting_or_one_group_can_be_looked_up(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(["settings", "sampler.stride"], capsys)
    assert code == 0
    assert "sampler.stride" in out
    assert "sampler.walkers" not in out
    _, out, _ = call(["settings", "sampler", "--preset", "paper", "--json"], capsys)
    assert '"sampler.patch_side": 64' in out
    assert "policy" not in out


@pytest.mark.parametrize(("held", "secret"), [("", None), ("s3cret!\n", "s3cret!"), (" a b ", "a b")])
def test_a_secret_is_read_as_a_file_holds_it(
    monkeypatch: pytest.MonkeyPatch, held: str, secret: str | None
) -> None:
    monkeypatch.setenv("FLAWTRACE_TOKEN", held)
    assert secret_of("FLAWTRACE_TOKEN") == secret


@pytest.mark.parametrize("held", ["hidden\nhidden", "hiddén", "hid\tden"])
def test_a_secret_that_no_request_can_carry_is_told_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, held: str
) -> None:
    monkeypatch.setenv("FLAWTRACE_TOKEN", held)
    with pytest.raises(SecretError, match="FLAWTRACE_TOKEN") as told:
        secret_of("FLAWTRACE_TOKEN")
    assert "hid" not in str(told.value)
