"""The page that describes the interface for machines, made of the same document as `/openapi.json`."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from flawtrace.station.web.pages import page

router = APIRouter(include_in_schema=False)
Schema = Mapping[str, Any]
DEEPEST = 6
"""Levels of an example."""
NOTHING: Mapping[str, Any] = {
    "string": "",
    "integer": 0,
    "number": 0.0,
    "boolean": True,
    "array": [],
    "object": {},
}
"""Examples of what has none, by type."""
FORMATS = {"date-time": "2026-01-31T07:30:00Z", "binary": "(the file)"}


@dataclass(frozen=True)
class Parameter:
    name: str
    where: str
    """path or query."""
    required: bool
    text: str


@dataclass(frozen=True)
class Body:
    """What is sent, or answered with one status."""

    title: str
    text: str
    example: str


@dataclass(frozen=True)
class Operation:
    """One thing that a machine can ask for."""

    anchor: str
    method: str
    path: str
    title: str
    text: str
    parameters: list[Parameter] = field(default_factory=list)
    sent: list[Body] = field(default_factory=list)
    answers: list[Body] = field(default_factory=list)
    command: str = ""
    """An example for the command line."""


@router.get("/docs")
def docs(request: Request) -> HTMLResponse:
    """The interface for machines, on one page."""
    document = request.app.openapi()
    groups: dict[str, list[Operation]] = {}
    for group, operation in operations(document, str(request.base_url).rstrip("/")):
        groups.setdefault(group, []).append(operation)
    return page(
        request, "docs", title=document["info"]["title"], version=document["info"]["version"], groups=groups
    )


def operations(document: Schema, address: str) -> Iterator[tuple[str, Operation]]:
    """Everything that a document of OpenAPI describes, each with its group."""
    for path, methods in document["paths"].items():
        for method, said in methods.items():
            text = said.get("description", said["summary"])
            yield (
                said.get("tags", ["Other"])[0],
                Operation(
                    anchor=said["operationId"],
                    method=method.upper(),
                    path=path,
                    title=text.partition("\n")[0],
                    text=text.partition("\n")[2].strip(),
                    parameters=[_parameter(one) for one in said.get("parameters", [])],
                    sent=_bodies(document, said.get("requestBody", {}), ""),
                    answers=[
                        body
                        for status, answer in said["responses"].items()
                        for body in _bodies(document, answer, _status(status))
                    ],
                    command=_command(method, address + path, said.get("requestBody", {})),
                ),
            )


def example_of(document: Schema, schema: Schema, depth: int = 0) -> Any:
    """A value that fits a schema: its own example, or one made of its parts.

    >>> example_of({}, {"type": "object", "properties": {"a": {"type": "integer", "examples": [7]}}})
    {'a': 7}
    """
    if "$ref" in schema:
        return example_of(document, _referred(document, schema["$ref"]), depth)
    if "anyOf" in schema and "examples" not in schema:
        return example_of(document, schema["anyOf"][0], depth)
    said = [value for key in ("examples", "enum") for value in schema.get(key, ())]
    said += [schema[key] for key in ("const", "default") if key in schema]
    return said[0] if said else _made_up(document, schema, depth)


def _made_up(document: Schema, schema: Schema, depth: int) -> Any:
    """By the type alone."""
    kind = schema.get("type")
    if kind == "object" and depth < DEEPEST:
        parts = schema.get("properties", {})
        return {name: example_of(document, part, depth + 1) for name, part in parts.items()}
    if kind == "array" and "items" in schema and depth < DEEPEST:
        return [example_of(document, schema["items"], depth + 1)]
    return FORMATS.get(schema.get("format", ""), NOTHING.get(kind or "string"))


def _referred(document: Schema, address: str) -> Schema:
    found: Any = document
    for part in address.removeprefix("#/").split("/"):
        found = found[part]
    return found  # type: ignore[no-any-return]


def _parameter(said: Schema) -> Parameter:
    text = said.get("description") or said["schema"].get("description", "")
    return Parameter(said["name"], said["in"], said.get("required", False), text)


def _bodies(document: Schema, said: Schema, title: str) -> list[Body]:
    """One for each kind of content; files of one kind or another look alike, and stand together."""
    by_example: dict[str, list[str]] = {}
    for kind, content in said.get("content", {}).items():
        given = [one["value"] for one in content.get("examples", {}).values()]
        shown = given or [example_of(document, content.get("schema", {}))]
        example = "\n\n".join(json.dumps(one, indent=2, ensure_ascii=False) for one in shown)
        by_example.setdefault(example, []).append(kind)
    text = said.get("description", "")
    if not by_example and title:
        return [Body(title, text, "")]
    return [
        Body(" ".join(filter(None, (title, ", ".join(kinds)))), text, example)
        for example, kinds in by_example.items()
    ]


def _status(code: str) -> str:
    return f"{code} {HTTPStatus(int(code)).phrase}"


def _command(method: str, address: str, body: Schema) -> str:
    """The same with curl."""
    words = ["curl"] if method == "get" else ["curl", "-X", method.upper()]
    kinds = body.get("content", {})
    if "multipart/form-data" in kinds:
        many = "batch" in address
        words = [
            "curl",
            *(["-F", "images=@1.png", "-F", "images=@2.png"] if many else ["-F", "image=@part.png"]),
        ]
    elif "application/json" in kinds:
        words += ["-H", "'Content-Type: application/json'", "-d", "@request.json"]
    return " ".join([*words, address])
