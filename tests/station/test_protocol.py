"""The Open Inference Protocol, what Prometheus reads, and the page that describes both."""

import base64
import io
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from PIL import Image as Pillow
from prometheus_client.parser import text_string_to_metric_families
from schemathesis import GenerationMode, openapi
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient

from flawtrace.station.store.history import verified
from flawtrace.station.store.tables import EntryRow
from flawtrace.station.store.workspace import Workspace
from flawtrace.station.web.describing import example_of, operations
from flawtrace.station.work.station import Station

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
HOST = {"Host": "127.0.0.1"}
MODEL = "/v2/models/detector"
BASE = Path(__file__).parents[2] / "src/flawtrace/station/templates/base.html.jinja"


def app_of(client: TestClient) -> FastAPI:
    app: FastAPI = client.app  # type: ignore[assignment]
    return app


@pytest.fixture(scope="session")
def picture(category: Path) -> np.ndarray:
    file = sorted((category / "test").rglob("*.png"))[0]
    return np.asarray(Pillow.open(file).convert("RGB"))


def tensor(data: Any, datatype: str = "UINT8", shape: tuple[int, ...] = (64, 64, 3)) -> dict[str, Any]:
    return {"inputs": [{"name": "image", "datatype": datatype, "shape": list(shape), "data": data}]}


def as_file(picture: np.ndarray) -> str:
    buffer = io.BytesIO()
    Pillow.fromarray(picture).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def outputs(answer: dict[str, Any]) -> dict[str, Any]:
    return {output["name"]: output for output in answer["outputs"]}


def test_pixels_and_a_file_have_the_same_score(inspecting: TestClient, picture: np.ndarray) -> None:
    ways = [
        tensor(picture.flatten().tolist()),
        tensor(picture.tolist()),
        tensor([as_file(picture)], "BYTES", (1,)),
    ]
    answers = [inspecting.post(f"{MODEL}/infer", json={"id": "7", **way}).json() for way in ways]
    assert len({outputs(answer)["score"]["data"][0] for answer in answers}) == 1
    assert all(answer["id"] == "7" and answer["model_version"] == "1" for answer in answers)
    assert set(outputs(answers[0])) == {"verdict", "score"}


def test_a_verdict_of_the_protocol_is_in_the_history(inspecting: TestClient, picture: np.ndarray) -> None:
    answer = inspecting.post(f"{MODEL}/infer", json=tensor([as_file(picture)], "BYTES", (1,))).json()
    station: Station = app_of(inspecting).state.station
    with station.workspace.database.reading() as session:
        entry = session.get_one(EntryRow, answer["parameters"]["entry"])
        assert verified(session) >= entry.id
    assert outputs(answer)["verdict"]["data"] == [entry.verdict]


def test_a_map_comes_where_it_is_asked_for(inspecting: TestClient, picture: np.ndarray) -> None:
    asked = tensor(picture.tolist()) | {"outputs": [{"name": "map"}]}
    [found] = inspecting.post(f"{MODEL}/versions/1/infer", json=asked).json()["outputs"]
    assert (found["name"], found["datatype"], found["shape"]) == ("map", "FP32", [64, 64])
    assert len(found["data"]) == 64 * 64


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        (tensor([0] * 5), 400, "5 numbers for 64 x 64 x 3"),
        (tensor([0.5] * 12288), 400, "not whole numbers from 0 to 255"),
        (tensor([300] * 12288), 400, "not whole numbers from 0 to 255"),
        (tensor([True] * 12288), 400, "not whole numbers from 0 to 255"),
        (tensor([10**30] * 12288), 400, "not whole numbers from 0 to 255"),
        (tensor([[1], [2, 3]]), 400, "differ in length"),
        (tensor([]), 400, "not whole numbers from 0 to 255"),
        (tensor([0] * 12, shape=(4, 3)), 400, "shape [4, 3]"),
        (tensor([0] * 12, shape=(2, 2, 3)), 422, "2 x 2 pixels"),
        (tensor(["!"], "BYTES", (1,)), 400, "base64"),
        (tensor([1], "BYTES", (1,)), 400, "BYTES tensor"),
        (tensor(["aaaa"], "BYTES", (1,)), 422, "no image of a format"),
        ({"inputs": []}, 400, "0 inputs"),
        ({}, 422, "inputs"),
        (tensor([0] * 12288) | {"outputs": [{"name": "colour"}]}, 422, "outputs"),
    ],
)
def test_wrong_tensors_are_refused_in_the_words_of_the_protocol(
    inspecting: TestClient, asked: dict[str, Any], status: int, said: str
) -> None:
    answer = inspecting.post(f"{MODEL}/infer", json=asked)
    assert answer.status_code == status
    assert said in answer.json()["error"]


def test_the_model_says_what_it_is(inspecting: TestClient) -> None:
    assert inspecting.get("/v2").json()["name"] == "flawtrace"
    assert inspecting.get("/v2/health/live").json() == {"live": True}
    assert inspecting.get("/v2/health/ready").json() == {"ready": True}
    assert inspecting.get(MODEL).json()["versions"] == ["1"]
    assert inspecting.get(f"{MODEL}/ready").json() == {"name": "detector", "ready": True}
    assert inspecting.get("/v2/models/other").status_code == 404
    assert inspecting.get(f"{MODEL}/versions/9/ready").status_code == 404


def test_without_a_detector_the_station_is_live_and_not_ready(client_of: Callable[..., TestClient]) -> None:
    client = client_of()
    assert client.get("/v2/health/live").status_code == 200
    assert client.get("/v2/health/ready").status_code == 503
    assert client.get(f"{MODEL}/ready").json() == {"name": "detector", "ready": False}
    assert client.post(f"{MODEL}/infer", json=tensor([0])).status_code == 409


def test_metrics_count_verdicts_once_and_survive_a_new_application(
    inspecting: TestClient, picture: np.ndarray
) -> None:
    def samples() -> dict[str, float]:
        text = inspecting.get("/metrics").text
        families = text_string_to_metric_families(text)
        return {
            one.name + "".join(one.labels.values()): one.value
            for family in families
            for one in family.samples
        }

    before = samples()
    [verdict] = outputs(inspecting.post(f"{MODEL}/infer", json=tensor(picture.tolist())).json())["verdict"][
        "data"
    ]
    after, again = samples(), samples()
    name = f"flawtrace_verdicts_total{verdict}"
    assert after[name] == before[name] + 1 == again[name]
    assert after["flawtrace_inspect_seconds_count"] == before["flawtrace_inspect_seconds_count"] + 1
    assert after["flawtrace_detector_version"] == 1
    assert after["flawtrace_waiting"] == after["flawtrace_jobs_running"] == 0
    assert 0 <= after["flawtrace_last_verdict_age_seconds"] < 60


def test_the_documents_name_every_operation_with_an_example(inspecting: TestClient) -> None:
    document = inspecting.get("/openapi.json").json()
    described = [operation for _, operation in operations(document, "http://127.0.0.1")]
    assert {"/v1/inspect", "/v1/inspect/batch", f"{MODEL[:11]}{{name}}/infer", "/metrics"} <= {
        operation.path for operation in described
    }
    assert all(operation.title and operation.command for operation in described)
    verdict = example_of(document, {"$ref": "#/components/schemas/Verdict"})
    assert (verdict["verdict"], verdict["score"], verdict["regions"][0]["area"]) == ("DEFECT", 0.93, 71)
    json.dumps(verdict)


def test_the_page_of_documents_asks_nobody_else_and_has_no_script(inspecting: TestClient) -> None:
    if not BASE.exists():
        pytest.skip("the frame of all pages is not here")
    text = inspecting.get("/docs").text
    assert "POST /v1/inspect" in text
    assert 'src="http' not in text
    assert "<style" not in text
    assert "style=" not in text


@pytest.mark.slow
def test_no_request_that_the_documents_allow_or_forbid_finds_a_fault(
    client_of: Callable[..., TestClient], station: Station, put_to_work: Callable[[Workspace], int]
) -> None:
    """At a station of its own: to read the documents is to start the application and to end it."""
    put_to_work(station.workspace)
    client = client_of()
    document = openapi.from_asgi("/openapi.json", app_of(client), headers=HOST)
    few = settings(max_examples=10, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    checked = []
    for found in document.get_all_operations():
        operation = found.ok()
        for mode in GenerationMode:

            @few
            @given(operation.as_strategy(mode))
            def check(case: Any) -> None:
                case.call_and_validate(headers=HOST, checks=CHECKS)

            with suppress(Unsatisfiable):  # nothing can be wrong where nothing can be said
                check()
        checked.append(operation.label)
    assert len(checked) == len(list(operations(client.get("/openapi.json").json(), "")))
