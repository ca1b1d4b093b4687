"""What pages say, where it takes no browser to see it."""

import re
from collections.abc import Callable
from pathlib import Path

from starlette.testclient import TestClient

from flawtrace.ground.files import read_json, write_json
from flawtrace.station.store.shelf import add_image
from flawtrace.station.store.workspace import Workspace
from flawtrace.station.work.station import Station


def test_training_images_worth_a_second_look_are_shown_with_the_reason(
    station: Station, client_of: Callable[..., TestClient], put_to_work: Callable[[Workspace], int]
) -> None:
    put_to_work(station.workspace)
    reasons = {
        "1 normal image looks defective, and nothing was learnt from it": ("a", {"set_aside": True}),
        "The normal image that is most unlike the others": ("b", {"unusual": True}),
        "2 images whose labels look wrong": ("cd", {}),
    }
    page = client_of().get("/compare").text
    assert not any(reason in page for reason in reasons)
    summary = station.workspace.run_folder(1) / "training.json"
    suspects = [
        {"name": "x", "file": str(Path("parts/normal") / f"{sign * 64}.png"), **why}
        for signs, why in reasons.values()
        for sign in signs
    ]
    write_json(summary, read_json(summary) | {"suspects": [*suspects, suspects[0]]})
    page = client_of().get("/compare").text
    for reason, (signs, _) in reasons.items():
        shown = page.partition(reason)[2].partition("<h3>")[0]
        assert re.findall(r"/images/(\w{64})/preview", shown) == [sign * 64 for sign in signs]


def test_images_that_wait_to_be_looked_at_are_not_asked_for_twice(
    station: Station, client_of: Callable[..., TestClient]
) -> None:
    station.runner.close()
    asked = [
        client_of().post("/images/look", json={"show": show}).json() for show in ("all", "all", "normal")
    ]
    assert asked == [{"job": 1}, {"job": 1}, {"job": 2}]


def test_the_demo_fills_an_empty_workspace_alone(
    station: Station, client_of: Callable[..., TestClient], photos: Path
) -> None:
    add_image(station.workspace, sorted(photos.rglob("*.png"))[0].read_bytes(), "one.png")
    answer = client_of().post("/demo", headers={"Accept": "text/html"})
    assert answer.status_code == 400
    assert "Expected an empty workspace" in answer.text


def test_a_verdict_by_another_threshold_says_so(
    station: Station,
    client_of: Callable[..., TestClient],
    put_to_work: Callable[[Workspace], int],
    photos: Path,
) -> None:
    version, client = put_to_work(station.workspace), client_of()
    row, _ = add_image(station.workspace, sorted(photos.rglob("*.png"))[0].read_bytes(), "one.png")
    station.inspect(row.hash)
    assert "look again" not in client.get(f"/images/{row.hash}").text
    assert client.post(f"/detectors/{version}/threshold", json={"threshold": 0.123}).status_code == 200
    assert "look again" in client.get(f"/images/{row.hash}").text
    station.inspect(row.hash)
    client.post(f"/images/{row.hash}/overrule", data={"verdict": "OK", "who": "Ada", "why": "dust"})
    said = client.get(f"/images/{row.hash}").text
    assert "look again" not in said
    assert "by Ada: dust" in said


def test_a_proposal_that_is_painted_leads_back_to_the_others(
    station: Station, client_of: Callable[..., TestClient], photos: Path
) -> None:
    row, _ = add_image(station.workspace, sorted(photos.rglob("*.png"))[0].read_bytes(), "one.png")
    assert 'data-after="/next"' in client_of().get(f"/images/{row.hash}/paint?back=next").text
