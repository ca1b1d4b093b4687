"""The bench: the same images for every method, no cell twice, nothing lost."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flawtrace import verbs
from flawtrace.comparison import bench, workers
from flawtrace.comparison.cell import run_cell
from flawtrace.comparison.desk import Desk
from flawtrace.comparison.errors import (
    MethodChangedError,
    NoCategoryError,
    SameNameError,
    UnguardedScriptError,
)
from flawtrace.comparison.methods import Method, read_methods
from flawtrace.data.errors import MissingFolderError
from flawtrace.data.folders import read_category
from flawtrace.data.protocols import Trial
from flawtrace.data.splits import draw_split
from flawtrace.detector.artefact import Detector
from flawtrace.ground.errors import OutputError
from flawtrace.ground.files import read_jsonl
from flawtrace.ground.presets import load_config
from flawtrace.measures.evaluation import evaluate
from flawtrace.pictures.synthetic import make_dataset

ORACLE = """
import json, sys
from pathlib import Path
import numpy as np
from safetensors.numpy import save_file
from flawtrace.pictures.images import fit_mask
from flawtrace.pictures.mask_files import read_mask
split, root, out = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]), sys.argv[3]
maps = [
    fit_mask(read_mask(root / row["mask"]), 256).numpy() if row["mask"] else np.zeros((256, 256))
    for row in split["test"]
]
facts = {"train_seconds": 1.5, "predict_seconds": 0.1, "settings": {"cheats": True}, "threshold": 0.5}
save_file({"maps": np.stack(maps).astype(np.float32)}, out, {"flawtrace": json.dumps(facts)})
"""
"""A program that gives the truth as its maps."""

METHODS = """
[ours]
[truth]
command = ["{python}", "{here}/oracle.py", "{split}", "{root}", "{maps}"]
"""


@pytest.fixture
def methods(tmp_path: Path) -> Path:
    tiny = (Path(__file__).parents[1] / "tiny.toml").read_text().replace("labels = 2\n", "")
    (tmp_path / "oracle.py").write_text(ORACLE)
    file = tmp_path / "methods.toml"
    file.write_text("[shared.settings]\n" + tiny.replace("\n[", "\n[shared.settings.") + METHODS)
    return file


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds one category with enough defect images for five labels."""
    root = tmp_path_factory.mktemp("parts")
    make_dataset(root / "bricks", side=64, num_normal=9, num_test_normal=3, num_per_type=7)
    return root


@pytest.fixture
def trial(category: Path) -> Trial:
    return Trial(
        "bricks", category, "five-per-type", 42, draw_split(read_category(category), 2, 42), labels=2
    )


def program(folder: Path, text: str) -> Method:
    (folder / "program.py").write_text(text)
    return Method(
        name="p", command=("{python}", "{here}/program.py", "{split}", "{root}", "{maps}"), here=folder
    )


def test_a_benchmark_leaves_rows_splits_tables_and_a_page(parts: Path, methods: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    compared = verbs.benchmark([parts], out, methods=methods, seeds=(1, 2), jobs=2)
    assert {(row["trial"], row["method"]) for row in compared.rows} == {
        (f"bricks-five-per-type-{seed}", method) for seed in (1, 2) for method in ("ours", "truth")
    }
    truths = [row for row in compared.rows if row["method"] == "truth"]
    assert all(row["metrics"]["pixel_f1_max"] == row["metrics"]["pixel_f1"] == 1.0 for row in truths)
    assert {file.name for file in (out / "splits").iterdir()} == {
        "bricks-five-per-type-1.json",
        "bricks-five-per-type-2.json",
    }
    assert compared.board is not None and compared.board.exists()
    assert not list((out / "runs").rglob("*.safetensors"))

    before = (out / "rows.jsonl").read_text()
    verbs.benchmark([parts], out, methods=methods, seeds=(1, 2))
    assert (out / "rows.jsonl").read_text() == before, "a finished cell was run again"

    with pytest.raises(MethodChangedError, match="ours on bricks-five-per-type-1"):
        methods.write_text(methods.read_text().replace("cycles = 2", "cycles = 3"))
        verbs.benchmark([parts], out, methods=methods, seeds=(1,))


UNGUARDED = """
import sys, flawtrace
flawtrace.benchmark([sys.argv[1]], sys.argv[2], protocols=("one-third",), seeds=(1,))
"""


@pytest.mark.slow
def test_a_script_that_every_worker_would_run_again_is_told_so(parts: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED)
    command = [sys.executable, script, parts, tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "UnguardedScriptError" in done.stderr.splitlines()[-3]
    assert 'if __name__ == "__main__":' in done.stderr.splitlines()[-2]
    assert "memory" not in done.stderr


def test_a_worker_that_imports_such_a_script_stops_before_it_reads_anything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(UnguardedScriptError, match="__main__"):
        verbs.benchmark(["nowhere"], "nowhere")


@pytest.mark.exhaustive
@pytest.mark.slow
def test_a_killed_benchmark_goes_on_where_it_stopped(parts: Path, methods: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-c",
        "from flawtrace.cli.app import main; main()",
        "benchmark",
        str(parts),
        "-o",
        str(out),
        "--methods",
    ]
    command += [str(methods), "--seeds", "1-2", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ, start_new_session=True)
    while not list(read_jsonl(out / "rows.jsonl")):
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = list(read_jsonl(out / "rows.jsonl"))
    assert 0 < len(kept) < 4
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    rows = list(read_jsonl(out / "rows.jsonl"))
    assert rows[: len(kept)] == kept
    assert len(rows) == len({(row["trial"], row["method"]) for row in rows}) == 4


def test_a_row_has_the_numbers_of_train_and_evaluate(
    category: Path, run: Path, tiny: dict[str, Any], trial: Trial, tmp_path: Path
) -> None:
    """The bench must not be another program than the one that users have: but its maps are larger."""
    method = Method(name="ours", settings={n: v for n, v in tiny.items() if n not in ("labels", "seed")})
    row = run_cell(Desk(trial, tmp_path), method, lambda _share, _phase: None)
    detector = Detector.load(run)
    assert row["threshold"] == vars(detector.thresholds)
    assert row["validation"] == detector.facts.validation
    evaluation = evaluate(detector, trial.split.test)
    assert (row["num_normal"], row["num_anomalous"]) == (evaluation.num_normal, evaluation.num_anomalous)
    auroc = evaluation.metrics["pixel_auroc"]
    assert auroc is not None
    assert row["metrics"]["pixel_auroc"] == pytest.approx(auroc, abs=0.02)


def test_scores_come_from_the_maps_unless_they_are_given(trial: Trial, tmp_path: Path) -> None:
    row = run_cell(Desk(trial, tmp_path), program(tmp_path, ORACLE), lambda _share, _phase: None)
    assert row["metrics"]["image_auroc"] == 1.0
    assert row["described"] == {"cheats": True}
    assert row["seconds"] == 1.5
    assert set(row["per_type"]) == {sample.defect_type for sample in trial.split.labelled}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("import sys; print('no luck'); sys.exit(3)", "status 3"),
        ("pass", "No such file"),
        (ORACLE.replace("np.stack(maps)", "np.stack(maps)[1:]"), "instead of"),
        (ORACLE.replace("np.stack(maps)", "(np.stack(maps) * np.nan)"), "not finite"),
        (ORACLE.replace('{"maps"', '{"mops"'), "maps"),
        (ORACLE.replace("np.float32)}", 'np.float32), "scores": np.zeros(3)}'), "the scores have shape (3,)"),
        (ORACLE.replace('"threshold": 0.5', '"threshold": "half"'), "the threshold is 'half'"),
    ],
)
def test_a_program_that_fails_leaves_a_row_that_says_why(
    trial: Trial, tmp_path: Path, text: str, complaint: str
) -> None:
    row = run_cell(Desk(trial, tmp_path), program(tmp_path, text), lambda _share, _phase: None)
    assert complaint in row["error"]
    assert "metrics" not in row
    assert (tmp_path / "logs" / f"{trial.name}-p.txt").exists()


def test_maps_of_an_earlier_run_are_no_answer(trial: Trial, tmp_path: Path) -> None:
    for text in (ORACLE, "pass"):
        row = run_cell(Desk(trial, tmp_path), program(tmp_path, text), lambda _share, _phase: None)
    assert "No such file" in row["error"]


def test_an_error_is_run_again_only_when_asked(parts: Path, tmp_path: Path) -> None:
    (tmp_path / "methods.toml").write_text(
        '[broken]\ncommand = ["{python}", "-c", "import sys; sys.exit(1)"]\n'
    )

    def compare(**more: Any) -> None:
        verbs.benchmark([parts], tmp_path, methods=tmp_path / "methods.toml", seeds=(1,), **more)

    compare()
    compare()
    assert len(list(read_jsonl(tmp_path / "rows.jsonl"))) == 1
    compare(retry=True)
    assert len(list(read_jsonl(tmp_path / "rows.jsonl"))) == 2
    assert len(bench.read_rows(tmp_path / "rows.jsonl")) == 1


def test_categories_are_found_below_the_named_folders(parts: Path, tmp_path: Path) -> None:
    assert [c.root.name for c in bench.find_categories([parts])] == ["bricks"]
    assert [c.root.name for c in bench.find_categories([parts / "bricks", parts])] == ["bricks"]
    with pytest.raises(NoCategoryError, match="empty"):
        (tmp_path / "empty").mkdir()
        bench.find_categories([tmp_path / "empty"])
    with pytest.raises(MissingFolderError):
        bench.find_categories([tmp_path / "nowhere"])
    with pytest.raises(SameNameError, match="bricks"):
        make_dataset(tmp_path / "bricks", side=64, num_normal=2, num_test_normal=1, num_per_type=1)
        bench.find_categories([parts, tmp_path])


def test_a_category_is_found_by_any_of_the_layouts(tmp_path: Path) -> None:
    for name in ("a/OK/0.png", "b/train/images/0.png", "b/train/masks/0.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((32, 32), np.uint8)).save(tmp_path / name)
    assert [c.root.name for c in bench.find_categories([tmp_path])] == ["a", "b"]


def test_a_category_with_one_type_is_told_and_the_rest_is_planned(
    parts: Path, methods: Path, tmp_path: Path
) -> None:
    make_dataset(tmp_path / "one" / "plain", side=64, num_normal=4, num_test_normal=2, num_per_type=6)
    for folder in (tmp_path / "one/plain/test", tmp_path / "one/plain/ground_truth"):
        for name in sorted(path.name for path in folder.iterdir() if path.name != "good")[1:]:
            for file in (folder / name).iterdir():
                file.unlink()
            (folder / name).rmdir()
    planned: list[bench.Task] = []

    def runner(tasks: Sequence[bench.Task], *_: Any, **__: Any) -> Iterator[bench.Row]:
        planned.extend(tasks)
        return iter(())

    folders = [tmp_path / "one", parts]
    done = verbs.benchmark(
        folders, tmp_path / "bench", protocols=["unseen-type"], seeds=[1], methods=methods, runner=runner
    )
    assert [task.trial.category for task in planned] == ["bricks"] * 3
    (told,) = done.skipped
    assert "unseen-type" in told


def test_methods_that_keep_scales_apart_or_not_do_not_share_an_encoder(
    trial: Trial, tiny: dict[str, Any], tmp_path: Path
) -> None:
    """The canvases are the same; what a profile is made of is not."""
    desk = Desk(trial, tmp_path)
    settings = tiny | {"encoder": "features", "cell": 4, "autoencoder.stages": 1}
    apart, together = (
        desk.encoded(load_config(settings=settings | {"profile.by_scale": by_scale})).prepared
        for by_scale in (True, False)
    )
    assert len(apart.encoder.scales) == 3
    assert len(together.encoder.scales) == 1


@pytest.mark.exhaustive
@pytest.mark.slow
def test_where_rows_cannot_be_written_the_workers_stop_and_nothing_hangs(
    parts: Path, methods: Path, tmp_path: Path
) -> None:
    """Two trials at once, and a folder where the file should be; the second trial has not run to its end."""
    design = bench.Design(read_methods(methods), ("five-per-type",), (1, 2, 3))
    plan = bench.plan(bench.find_categories([parts]), design, tmp_path / "none.jsonl")
    (tmp_path / "rows").mkdir()
    with pytest.raises(OutputError, match="rows"):
        list(workers.run(plan.tasks, tmp_path / "out", tmp_path / "rows", jobs=2))
    assert list((tmp_path / "out/runs").glob("*/*")), "what was finished can be gone on with"
