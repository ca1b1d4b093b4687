"""What pages say, where it takes no browser to see it."""

from collections.abc import Callable
from pathlib import Path

from starlette.testclient import TestClient

from flawtrace.ground.files import read_json, write_json
from flawtrace.station.store.workspace import Workspace
from flawtrace.station.work.station import Station


def test_images_from_which_nothing_was_learnt_are_shown(
    station: Station, client_of: Callable[..., TestClient], put_to_work: Callable[[Workspace], int]
) -> None:
    put_to_work(station.workspace)
    assert "nothing was learnt" not in client_of().get("/compare").text
    summary = station.workspace.run_folder(1) / "training.json"
    suspects = [
        {"name": "x", "file": str(Path("parts/normal") / f"{sign * 64}.png"), "set_aside": aside}
        for sign, aside in (("a", True), ("b", False))
    ]
    write_json(summary, read_json(summary) | {"suspects": suspects})
    said = client_of().get("/compare").text
    assert "1 normal image looks defective, and nothing was learnt from it" in said
    assert f"/images/{'a' * 64}/preview" in said
    assert "b" * 64 not in said
