"""What the API is, for reading: the OpenAPI document, a page made from it, and what each problem type means.

Litestar's own pages load their scripts from elsewhere, so this is a page of ours, without any script.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Litestar, MediaType, Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.params import FromPath

from loyalty.kit.errors import DomainError
from loyalty.web.api.document import openapi_document
from loyalty.web.rendering import environment

_KEPT: Final = "public, max-age=300"


def _document(app: Litestar) -> dict[str, Any]:
    """The document, made at the first request for it: afterwards no route is added."""
    if "openapi_document" not in app.state:
        app.state["openapi_document"] = openapi_document(app)
    document: dict[str, Any] = app.state["openapi_document"]
    return document


@get("/v1/openapi.json", include_in_schema=False, sync_to_thread=False)
def openapi_json(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The OpenAPI document."""
    content = msgspec.json.encode(_document(request.app))
    return Response(content, media_type="application/json", headers={"Cache-Control": _KEPT})


class ReferencePage(OpenAPIRenderPlugin):
    """A page that a person can read, made from the document."""

    def __init__(self) -> None:
        super().__init__(path="/", media_type=MediaType.HTML)

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002
        """The page. Litestar's own schema is not used: `openapi_document` makes it exact."""
        document = _document(request.app)
        page = (
            environment()
            .get_template("api/reference.html")
            .render(
                document=document,
                introduction=document["info"]["description"].split("\n\n"),
                groups=_by_tag(document),
                asset=request.app.state.assets.address,
            )
        )
        return page.encode()


def _by_tag(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            answer = next(iter(operation["responses"].values()))
            told = {
                "id": operation["operationId"],
                "method": method.upper(),
                "path": path,
                "summary": operation["summary"],
                "description": operation["description"].split("\n\n"),
                "parameters": operation.get("parameters", []),
                "request": _example(operation.get("requestBody", {})),
                "answer": _example(answer),
                "responses": operation["responses"],
            }
            groups.setdefault(operation["tags"][0], []).append(told)
    return groups


def _example(body: dict[str, Any]) -> str:
    example = body.get("content", {}).get("application/json", {}).get("example")
    return json.dumps(example, indent=2, ensure_ascii=False) if example is not None else ""


class ProblemType(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of refusal, for its page."""

    path: str
    status: int
    title: str
    meaning: str


@cache
def problem_types() -> dict[str, ProblemType]:
    """Every kind of refusal in the product, by the last part of its address."""
    return {
        kind.type: ProblemType(
            path=f"/problems/{kind.type}",
            status=int(kind.status),
            title=kind.title,
            meaning=" ".join((kind.__doc__ or kind.title).split()),
        )
        for kind in sorted(_kinds(DomainError), key=lambda each: (each.status, each.type))
    }


def _kinds(base: type[DomainError]) -> Iterator[type[DomainError]]:
    if "type" in vars(base) and base.status != HTTPStatus.INTERNAL_SERVER_ERROR:
        yield base
    for kind in base.__subclasses__():
        yield from _kinds(kind)


@get("/problems/{kind:str}", include_in_schema=False, sync_to_thread=False, media_type=MediaType.HTML)
def problem_type(request: Request[Any, Any, Any], kind: FromPath[str]) -> Response[str]:
    """What a problem's `type` means: its address answers."""
    found = problem_types().get(kind)
    if found is None:
        raise NotFoundException
    page = environment().get_template("api/problem_type.html")
    body = page.render(kind=found, asset=request.app.state.assets.address)
    return Response(body, media_type=MediaType.HTML, headers={"Cache-Control": _KEPT})


OPENAPI: Final = OpenAPIConfig(
    title="Tallystar",
    version="1",
    path="/v1/reference",
    use_handler_docstrings=True,
    render_plugins=[ReferencePage()],
)
