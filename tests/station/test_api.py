"""What machines ask for: verdicts that are in the history before they are sent, and refusals that say why."""

import base64
import io
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow
from starlette.testclient import TestClient

from flawtrace.station.store.history import verified
from flawtrace.station.store.jobs import job_row
from flawtrace.station.store.shelf import counts
from flawtrace.station.store.tables import EntryRow
from flawtrace.station.store.workspace import content_hash
from flawtrace.station.web.answers import HASH
from flawtrace.station.web.refusals import BUSY, NO_DETECTOR, NO_PICTURE, TOO_LARGE
from flawtrace.station.work.inspector import Inspector
from flawtrace.station.work.station import Station

PNG = {"Content-Type": "image/png"}


@pytest.fixture(scope="session")
def part(category: Path) -> bytes:
    """An image of the kind that the detector was trained on."""
    return sorted((category / "test").rglob("*.png"))[0].read_bytes()


def station_of(client: TestClient) -> Station:
    station: Station = client.app.state.station  # type: ignore[attr-defined]
    return station


def state_of_job(station: Station, job: int) -> str:
    with station.workspace.database.reading() as session:
        return job_row(session, job).state


def array_of(encoded: str | bytes) -> np.ndarray:
    content = base64.b64decode(encoded) if isinstance(encoded, str) else encoded
    if content.startswith(b"\x89PNG"):
        return np.asarray(Pillow.open(io.BytesIO(content)))
    return tifffile.imread(io.BytesIO(content))


def test_a_verdict_says_everything_that_the_history_keeps(inspecting: TestClient, part: bytes) -> None:
    said = inspecting.post("/v1/inspect", content=part, headers=PNG).json()
    with station_of(inspecting).workspace.database.reading() as session:
        entry = session.get_one(EntryRow, said["entry"])
    assert said["image"] == content_hash(part) == entry.image
    assert (said["verdict"], said["score"]) == (entry.verdict, entry.score)
    assert (said["detector"], said["entry_hash"]) == (entry.detector, entry.hash)
    assert set(said["thresholds"]) == {"outline", "peak", "defect", "unsure"}


def test_a_form_and_a_body_are_the_same_image(inspecting: TestClient, part: bytes) -> None:
    alone = inspecting.post("/v1/inspect?name=part.png", content=part, headers=PNG)
    in_a_form = inspecting.post("/v1/inspect", files={"image": ("../../part.png", part, "image/png")})
    assert alone.status_code == in_a_form.status_code == 200
    assert alone.json()["image"] == in_a_form.json()["image"]
    assert alone.json()["entry"] < in_a_form.json()["entry"]


def test_mask_and_map_come_by_request_and_by_address(inspecting: TestClient, part: bytes) -> None:
    said = inspecting.post("/v1/inspect?include=mask,map", content=part, headers=PNG).json()
    mask, values = array_of(said["mask"]), array_of(said["map"])
    assert mask.shape == values.shape == (64, 64)
    assert set(np.unique(mask)) <= {0, 255}
    assert values.dtype == np.float32
    np.testing.assert_array_equal(mask, array_of(inspecting.get(said["mask_url"]).content))
    np.testing.assert_array_equal(values, array_of(inspecting.get(said["map_url"]).content))
    without = inspecting.post("/v1/inspect", content=part, headers=PNG).json()
    assert without["mask"] is without["map"] is None


def test_a_batch_answers_in_order_and_names_the_file_that_is_broken(
    inspecting: TestClient, part: bytes
) -> None:
    files = [
        ("images", (f"{name}.png", content)) for name, content in (("a", part), ("b", b"no"), ("c", part))
    ]
    answer = inspecting.post("/v1/inspect/batch", files=files)
    assert answer.status_code == 200, answer.text
    first, broken, last = answer.json()
    assert [first["name"], broken["name"], last["name"]] == ["a.png", "b.png", "c.png"]
    assert [first["status"], broken["status"], last["status"]] == [200, 422, 200]
    assert broken["result"] is None and broken["detail"].startswith("b.png is no image")
    assert last["result"]["entry"] > first["result"]["entry"]


@pytest.mark.parametrize(
    ("request_of", "status", "said"),
    [
        (lambda _: {"content": b"no picture", "headers": PNG}, 422, "image is no image of a format"),
        (lambda _: {"content": b"", "headers": PNG}, 422, "Cannot read image: "),
        (lambda part: {"content": part[:200], "headers": PNG}, 422, "Cannot read image: "),
        (lambda _: {"content": b"{}", "headers": {"Content-Type": "application/json"}}, 415, "not taken"),
        (lambda part: {"content": part}, 415, "not taken"),
        (lambda part: {"files": {"picture": part}}, 422, "no file in the field `image`"),
        (lambda part: {"files": [("image", part), ("image", part)]}, 400, "Too many files"),
        (lambda part: {"content": part, "headers": PNG, "params": {"include": "everything"}}, 422, "include"),
    ],
)
def test_a_refusal_says_why(
    inspecting: TestClient, part: bytes, request_of: Callable[[bytes], dict[str, Any]], status: int, said: str
) -> None:
    answer = inspecting.post("/v1/inspect", **request_of(part))
    assert answer.status_code == status
    assert said in answer.json()["detail"]
    assert str(station_of(inspecting).workspace.root) not in answer.text


def test_a_browser_that_asks_for_an_interface_of_machines_gets_json(inspecting: TestClient) -> None:
    answer = inspecting.get(f"/v1/images/{'0' * 64}/mask.png", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert "There is no image" in answer.json()["detail"]


def test_without_a_detector_every_interface_says_so(
    client_of: Callable[..., TestClient], part: bytes
) -> None:
    client = client_of()
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [base64.b64encode(part).decode()]}
    answers = [
        client.post("/v1/inspect", content=part, headers=PNG),
        client.post("/v1/inspect", files={"image": part}),
        client.post("/v1/inspect/batch", files={"images": part}),
        client.post("/v2/models/detector/infer", json={"inputs": [tensor]}),
    ]
    assert [answer.status_code for answer in answers] == [409] * 4
    assert all("No detector is at work yet" in answer.text for answer in answers)
    with station_of(client).workspace.database.reading() as session:
        assert counts(session)["all"] == 0


def examples(client: TestClient, method: str, path: str, status: int) -> list[Any]:
    answer = client.get("/openapi.json").json()["paths"][path][method]["responses"][str(status)]
    [content] = answer["content"].values()
    return [example["value"] for example in content["examples"].values()]


@pytest.mark.parametrize(
    ("address", "request_of", "status"),
    [
        ("/v1/inspect", {"content": b"text", "headers": PNG}, 422),
        ("/v1/inspect", {"files": {"picture": b"text"}}, 422),
        ("/v1/inspect/batch", {"files": {"picture": b"text"}}, 422),
        ("/v1/inspect", {"json": {}}, 415),
        ("/v1/inspect", {"content": b"", "headers": {"Content-Type": "multipart/form-data"}}, 400),
        ("/v1/inspect", {"content": b"", "headers": {"Content-Length": str(2**40), **PNG}}, 413),
        ("/v2/models/{name}/infer", {"json": {"inputs": []}}, 400),
    ],
)
def test_the_documents_say_what_is_really_said(
    inspecting: TestClient, address: str, request_of: dict[str, Any], status: int
) -> None:
    answer = inspecting.post(address.format(name="detector"), **request_of)
    assert answer.status_code == status
    assert answer.json() in examples(inspecting, "post", address, status)


@pytest.mark.parametrize(
    ("address", "status", "said"),
    [
        ("/v1/images/{image}/mask.png", 404, {"image": HASH}),
        ("/v1/images/{image}/map.tiff", 422, {"image": "part"}),
        ("/v2/models/{name}", 404, {"name": "other"}),
    ],
)
def test_so_do_those_of_what_can_be_fetched(
    inspecting: TestClient, address: str, status: int, said: dict[str, str]
) -> None:
    answer = inspecting.get(address.format(**said))
    assert answer.status_code == status
    assert answer.json() in examples(inspecting, "get", address, status)


@pytest.mark.parametrize(
    ("method", "address", "status"),
    [
        ("get", "/v2/health/ready", 503),
        ("get", "/v2/models/{name}/ready", 503),
        ("get", "/v2/models/{name}", 409),
        ("get", "/v1/images/{image}/mask.png", 404),
    ],
)
def test_so_do_those_of_a_station_without_a_detector(
    client_of: Callable[..., TestClient], method: str, address: str, status: int
) -> None:
    client = client_of()
    answer = client.request(method, address.format(name="detector", image=HASH))
    assert answer.status_code == status
    assert answer.json() in examples(client, method, address, status)


def test_the_page_of_documents_shows_an_error_where_it_belongs(inspecting: TestClient) -> None:
    text = unescape(inspecting.get("/docs").text)
    for error in (BUSY, TOO_LARGE, NO_PICTURE, NO_DETECTOR):
        assert json.dumps(str(error), ensure_ascii=False) in text


def test_who_comes_when_too_many_wait_is_told_when_to_come_back(
    inspecting: TestClient, part: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    station = station_of(inspecting)
    small = Inspector(most_waiting=1)
    monkeypatch.setattr(station, "inspector", small)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(small.ask, time.sleep, 3)
        while not small.waiting:
            Event().wait(0.01)
        refused = inspecting.post("/v1/inspect", content=part, headers=PNG)
        waiting.result()
    again = inspecting.post("/v1/inspect", content=part, headers=PNG)
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert "images wait already" in refused.json()["detail"]
    assert again.status_code == 200
    assert small.refused == 1
    small.close()


def test_a_job_that_looks_at_images_waits_while_machines_ask(
    inspecting: TestClient, part: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    station = station_of(inspecting)
    inspecting.post("/v1/inspect", content=part, headers=PNG)
    small = Inspector(most_waiting=1)
    monkeypatch.setattr(station, "inspector", small)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(small.ask, time.sleep, 2)
        while not small.waiting:
            Event().wait(0.01)
        job = inspecting.post("/images/look", json={"show": "unlabelled"}).json()["job"]
        waiting.result()
    end = time.monotonic() + 60
    while state_of_job(station, job) in ("waiting", "running"):
        assert time.monotonic() < end
        Event().wait(0.05)
    assert state_of_job(station, job) == "done"
    assert small.refused > 0
    small.close()


def test_images_from_many_clients_at_once_each_leave_a_line(inspecting: TestClient, photos: Path) -> None:
    files = sorted(photos.rglob("*.png"))[:12]

    def ask(file: Path) -> dict[str, Any]:
        said: dict[str, Any] = inspecting.post("/v1/inspect", content=file.read_bytes(), headers=PNG).json()
        return said

    with ThreadPoolExecutor(6) as pool:
        entries = [said["entry"] for said in pool.map(ask, files)]
    assert len(set(entries)) == len(files)
    with station_of(inspecting).workspace.database.reading() as session:
        assert verified(session) >= max(entries)


def test_an_image_that_ends_the_process_is_refused_and_the_next_is_looked_at(
    inspecting: TestClient, part: bytes
) -> None:
    inspector = station_of(inspecting).inspector
    [worker] = list(inspector._pool._processes)
    inspector._pool._processes[worker].kill()
    answers = [inspecting.post("/v1/inspect", content=part, headers=PNG) for _ in range(2)]
    assert answers[0].status_code in (200, 503)  # by then the pool may have noticed
    assert answers[1].status_code == 200


def test_the_mask_of_an_image_that_was_not_looked_at_is_not_there(
    client_of: Callable[..., TestClient], station: Station, part: bytes
) -> None:
    client = client_of()
    assert client.get(f"/v1/images/{'a' * 64}/map.tiff").status_code == 404
    assert client.get("/v1/images/..%2F..%2Fetc/map.tiff").status_code in (404, 422)
