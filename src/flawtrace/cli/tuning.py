"""The command that searches for settings."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flawtrace.cli.checks import check_folder, check_settings
from flawtrace.cli.console import print_json, print_plain
from flawtrace.cli.flags import Count, Device, Json, MoreSettings, Out, Threads, parsed
from flawtrace.cli.progress import trained
from flawtrace.cli.spreading import MEMORY, spread
from flawtrace.cli.stopping import kept_of_results, stoppable
from flawtrace.ground.groups import Preset
from flawtrace.ground.wording import counted


def tune(
    folder: Path,
    /,
    *more: MoreSettings,
    out: Out,
    ray: Annotated[str, Parameter(name="--ray")] = "local",
    space: Path | None = None,
    trials: Count = 16,
    repeats: Count = 4,
    preset: Preset = "light",
    threads: Threads = 1,
    memory: float = MEMORY,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Search for settings that do well on one product, with Ray Tune; needs the extra `cluster`.

    Trials are judged on labels that training held out, never on test images, and half of them end after each
    training. The same command goes on after a stop. Writes OUT/settings.toml, which `train --settings` takes,
    and OUT/trials.json. Every setting is also a flag, and counts for all trials.

    **Examples**

        flawtrace tune parts/ -o search/
        flawtrace tune parts/ -o search/ --space space.toml --trials 64 --ray 10.0.0.5:6379
        flawtrace train parts/ -o run/ --settings search/settings.toml

    Parameters
    ----------
    folder
        Images of one product, in one of the layouts of `flawtrace inspect`.
    out
        Folder for the settings, the trials and their runs.
    ray
        Address of a Ray cluster on which trials run, or `local` to start Ray on this machine. Every node has
        to see the folders under the same paths.
    space
        A TOML file with the settings to search: `copies = [3, 6]` or
        `predictor.lr = { low = 0.001, high = 0.01, log = true }`. [default: copies, and predictor.lr,
        predictor.steps and predictor.pasted]
    trials
        Choices of settings.
    repeats
        Trainings of the best trials, each with another seed, on the same labels.
    preset
        `light` is made for two processor cores; `paper` has the published networks and is made for a GPU;
        `script` does what the published program does, whose policy never learns.
    threads
        Threads of each training.
    memory
        GB of memory that each training occupies.
    device
        Device to compute on.
    json
        Print one JSON document.
    """
    chosen = parsed(more, tune)
    check_folder(folder)
    check_settings(preset, None, chosen)
    with stoppable(kept_of_results(out, "Trainings")), spread(ray) as cluster:
        assert cluster is not None
        found = cluster.search(
            folder, out, preset=preset, settings=chosen, space=cluster.read_space(space) if space else None,
            trials=trials, repeats=repeats, threads=threads, memory=memory, device=device, progress=trained,
        )  # fmt: skip
    if json:
        print_json(found.to_json())
        return
    best = ", ".join(f"{name} {value}" for name, value in found.best.settings.items())
    print_plain(
        f"Best of {counted(len(found.trials), 'trial')}: {best}\n"
        f"Average precision on held-out labels: {found.best.score:.3f}, mean of "
        f"{counted(found.best.trainings, 'training')}\n"
        f"Next:  flawtrace train {folder} -o RUN --preset {preset} --settings {found.settings_file}"
    )
