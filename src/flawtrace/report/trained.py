"""What the report says about a training: facts, suspects, loss profiles, visits and learning curves."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from flawtrace.detector import alarm_text
from flawtrace.ground.errors import DamagedFileError
from flawtrace.ground.files import read_json, read_jsonl
from flawtrace.ground.run_files import (
    LOG_NAME,
    PICTURES_NAME,
    SETTINGS_NAME,
    SUMMARY_NAME,
    VISITS_NAME,
)
from flawtrace.ground.wording import counted
from flawtrace.pictures.errors import ImageError
from flawtrace.pictures.images import read_image
from flawtrace.pictures.variation import in_words
from flawtrace.report import pictures, plots
from flawtrace.report.pictures import row_of_pictures
from flawtrace.report.standing import untested

SHOWN_LABELLED = 5
OF_A_DATA_SET = ("train", "test", "normal", "defects")
"""Folders that lie directly in a data set's."""
MOST_RELATIVE = 2.0
"""Top of the colour scale of the visit maps of quarters: twice as often as the average cell."""


def trained_part(run: Path) -> dict[str, Any]:
    """Everything the page says about the training."""
    settings, summary = read_json(run / SETTINGS_NAME), read_json(run / SUMMARY_NAME)
    labelled = summary.get("labelled", [])
    return {
        "product": _product(summary.get("labelled_files") or summary.get("normal_files", [])),
        "data": _data(summary),
        "facts": dict(_facts(settings, summary)),
        "versions": summary.get("versions", {}),
        "untested": untested(summary, run.resolve().name),
        "labelled": labelled,
        "thumbnails": _thumbnails(summary),
        "labels": _labels(summary),
        "decidable": settings.get("score") == "evidence",
        "validation": summary.get("validation", {}),
        "warnings": summary.get("warnings", []),
        "suspects": _suspects(run / PICTURES_NAME, summary) if "suspects" in summary else None,
        "profiles": _profiles(summary),
        "visits": _visits(run / VISITS_NAME, labelled),
        "visits_across": SHOWN_LABELLED,
        "learning": _learning(run / LOG_NAME),
    }


def _facts(settings: Mapping[str, Any], summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What was trained on what, as far as it is known."""
    sampler = settings.get("sampler", {})
    seen_as = summary.get("seen_as", "image")
    if "num_normal" in summary:
        yield f"Normal {seen_as}s", f"{summary['num_normal']}, without labels"
    if "defect_types" in summary:
        types = Counter(map(str, summary["defect_types"]))
        listed = ", ".join(f"{name} {count}" for name, count in types.items())
        some = f"{types.total()} ({listed})" + _of_images(summary)
        yield f"Labelled defect {seen_as}s", some if types else "none; it learnt from made-up defects"
    if "preset" in settings:
        yield "Preset", f"{settings['preset']}, reconstructing {settings.get('encoder', 'images')}"
    if (ways := summary.get("variation", {}).get("ways")) is not None:
        yield "The part", in_words(ways)
    if "image_side" in settings:
        yield "Working size", _working_size(settings["image_side"], settings.get("tile_side"))
    if {"kind", "walkers", "patch_side"} <= set(sampler):
        patches = f"{sampler['walkers']} patches of {sampler['patch_side']} pixels per update"
        yield "Sampler", f"{sampler['kind']}, {patches}"
    if {"cycles", "updates"} <= set(settings):
        cycles = f"{settings['cycles']} cycles of {settings['updates']} updates"
        yield "Training", f"{cycles}, and one cycle for the detector"
    if "seed" in settings:
        yield "Seed", str(settings["seed"])
    yield from _costs(summary)


def _data(summary: Mapping[str, Any]) -> str:
    """What the detector learnt from, in a few words.

    >>> _data({"num_normal": 12, "defect_types": ["hole", "hole", "bent"]})
    '12 normal images and 3 labelled ones of 2 types of defects'
    """
    what, types = summary.get("seen_as", "image"), Counter(map(str, summary.get("defect_types", [])))
    if "num_normal" not in summary:
        return ""
    normal = counted(summary["num_normal"], f"normal {what}")
    if not types:
        return f"{normal} and no label"
    return f"{normal} and {types.total()} labelled ones of {counted(len(types), 'type')} of defects"


def _labels(summary: Mapping[str, Any]) -> Counter[str]:
    """Labelled images of each type; of tiles nobody counts them."""
    tiles = summary.get("seen_as") == "tile"
    return Counter() if tiles else Counter(map(str, summary.get("defect_types", [])))


def _thumbnails(summary: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The labelled images of each type; no picture where the file is gone."""
    if summary.get("seen_as") == "tile":
        return {}
    found: dict[str, list[dict[str, Any]]] = {}
    known = zip(summary.get("labelled_files", []), summary.get("defect_types", []), strict=False)
    for file, kind in sorted(known, key=lambda pair: str(pair[1])):
        found.setdefault(str(kind), []).append({"name": Path(file).name} | _thumbnail(Path(file)))
    return found


def _thumbnail(file: Path) -> dict[str, Any]:
    try:
        image = read_image(file)
    except ImageError:
        return {"picture": None, "aspect": 1}
    aspect = round(image.shape[2] / image.shape[1], 4)
    return {"picture": pictures.picture(image, pictures.SMALL_SIDE), "aspect": aspect}


def _product(files: Sequence[str]) -> str | None:
    """The folder of the data set, by where images of it lie.

    >>> _product(["/data/bottle/test/crack/001.png"]), _product(["/somewhere/else.png"])
    ('bottle', None)
    """
    parts = Path(files[0]).parts if files else ()
    places = [place for place, name in enumerate(parts) if place and name in OF_A_DATA_SET]
    return parts[places[-1] - 1] if places else None


def _of_images(summary: Mapping[str, Any]) -> str:
    """From how many images labelled tiles come."""
    images = len(summary.get("labelled_files", []))
    return f", from {images} images" if summary.get("seen_as") == "tile" and images else ""


def _working_size(side: int, tile_side: int | None) -> str:
    """Of images, or of their tiles.

    >>> _working_size(256, 512)
    'tiles of 512 × 512 pixels, resized to 256 × 256 pixels'
    """
    seen = f"{side} × {side} pixels"
    return seen if tile_side is None else f"tiles of {tile_side} × {tile_side} pixels, resized to {seen}"


def _costs(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "seconds" in summary:
        threads = f", {summary['threads']} threads" if summary.get("threads", 1) > 1 else ""
        yield (
            "Training time",
            f"{_duration(float(summary['seconds']))} on {summary.get('device', 'cpu')}{threads}",
        )
    if "peak_memory_mb" in summary:
        yield "Peak memory", f"{summary['peak_memory_mb']:,} MB"
    if "threshold" in summary:
        yield "Stored threshold", f"{summary['threshold']:.3f}"
    if summary.get("false_alarms", {}).get("images"):
        yield "False alarms", alarm_text(summary["false_alarms"], summary.get("seen_as", "image"))
    if "fingerprint" in summary:
        yield "Training data", f"fingerprint {summary['fingerprint']}"


def _duration(seconds: float) -> str:
    """In words that people use.

    >>> _duration(45.2), _duration(620.0), _duration(7500.0)
    ('45 s', '10 min 20 s', '2 h 5 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _suspects(path: Path, summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of pictures, like those of cases: training images whose label is worth a second look."""
    tensors, threshold = _read_tensors(path), float(summary.get("threshold", 0.5))
    if not {"pictures", "maps", "masks"} <= set(tensors):
        return []
    parts = (tensors[name] for name in ("pictures", "maps", "masks"))
    known = zip(summary.get("suspects", []), *parts, strict=False)
    return [
        {
            "name": suspect["name"],
            "path": suspect.get("file", ""),
            "type": suspect["type"],
            "score": suspect["score"],
            "set_aside": suspect.get("set_aside", False),
            "unusual": suspect.get("unusual", False),
            **row_of_pictures(picture.float() / 255, mask, anomaly_map.float(), anomaly_map >= threshold),
        }
        for suspect, picture, anomaly_map, mask in known
    ]


def _profiles(summary: Mapping[str, Any]) -> str | None:
    profiles = summary.get("profiles", {})
    known = "updates" in profiles and {"normal", "defective"} & set(profiles)
    return plots.loss_profiles(profiles) if known else None


def _visits(path: Path, names: Sequence[str]) -> dict[str, Any] | None:
    """Where patches were taken: mean maps of the quarters, and the last cycle on some labelled images."""
    tensors = _read_tensors(path)
    quarters = _quarters(tensors["periods"]) if "periods" in tensors else []
    images = _labelled(tensors, names) if {"labelled", "images"} <= set(tensors) else []
    if not quarters and not images:
        return None
    most = int(tensors["labelled"][:SHOWN_LABELLED].max()) if images else 0
    return {"quarters": quarters, "labelled": images, "most": most, "scale": pictures.visit_scale()}


def _quarters(periods: Tensor) -> list[tuple[int, str]]:
    """Number and picture of each quarter in which a cycle ended."""
    return [
        (number, pictures.visit_map(visits / visits.mean(), MOST_RELATIVE))
        for number, visits in enumerate(periods, start=1)
        if visits.any()
    ]


def _labelled(tensors: Mapping[str, Tensor], names: Sequence[str]) -> list[tuple[str, str, str]]:
    """Name, picture and visits of the first labelled images, on one scale."""
    visits, images = tensors["labelled"][:SHOWN_LABELLED], tensors["images"][:SHOWN_LABELLED]
    known = [*names, *[""] * len(images)]
    return [
        (
            name,
            pictures.picture(pictures.enlarged(image)),
            pictures.visits_over(image, seen, float(visits.max())),
        )
        for name, image, seen in zip(known, images, visits, strict=False)
    ]


def _learning(path: Path) -> dict[str, str]:
    """A curve for each group of columns of which the log has any."""
    rows = [row for row in read_jsonl(path) if row.get("kind") == "cycle"]
    return {
        name: plots.learning_curve(rows, lines, ylabel)
        for name, (ylabel, lines) in plots.LEARNING.items()
        if any(row.get(line.column) is not None for row in rows for line in lines)
    }


def _read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, none if there is no such file."""
    if not path.exists():
        return {}
    try:
        return safetensors.torch.load_file(path)
    except (OSError, SafetensorError) as error:
        raise DamagedFileError(path, str(error)) from error
