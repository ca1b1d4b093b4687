"""Where people say who they are, at a station that others can reach."""

import re
from http import HTTPStatus
from typing import Annotated

from anyio import sleep
from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from flawtrace.station.store.people import checked
from flawtrace.station.web.guard import A_SHIFT, COOKIE, Rules, User
from flawtrace.station.web.pages import AtWork, back, page

router = APIRouter(include_in_schema=False)
SLOW = 1.0
"""Seconds that whoever guesses waits for the answer."""


@router.get("/login")
def ask_who(request: Request, to: str = "/") -> HTMLResponse:
    """Asks for a name and a password, or for the station's token; `to` is the page to go on to."""
    return _asked(request, to)


@router.post("/login")
async def enter(
    request: Request,
    station: AtWork,
    password: Annotated[str, Form(max_length=200)],
    name: Annotated[str, Form(max_length=64)] = "",
    to: Annotated[str, Form(max_length=500)] = "/",
) -> Response:
    """Begin a session; who does not fit is asked again, a moment later."""
    rules: Rules = request.app.state.rules
    user: User | None = None
    if name and rules.login:
        known = await run_in_threadpool(checked, station.workspace.database, name, password)
        user = User(known.name, known.role, known.password) if known else None
    elif rules.knows_token(password):
        user = User("token", "engineer")
    if user is None:
        await sleep(SLOW)
        return _asked(request, to, HTTPStatus.UNAUTHORIZED)
    answer = back(own_page(to))
    secure = request.url.scheme == "https"
    answer.set_cookie(
        COOKIE, rules.admit(user), max_age=A_SHIFT, httponly=True, samesite="strict", secure=secure
    )
    return answer


@router.post("/logout")
def leave(request: Request) -> RedirectResponse:
    """End a session."""
    rules: Rules = request.app.state.rules
    rules.sessions.pop(request.cookies.get(COOKIE, ""), None)
    answer = back("/login")
    answer.delete_cookie(COOKIE)
    return answer


def own_page(address: str) -> str:
    """An address, if it is one of this station's pages; else the first of them.

    >>> own_page("/compare"), own_page("//elsewhere.example"), own_page("https://elsewhere.example")
    ('/compare', '/', '/')
    """
    return address if re.fullmatch(r"/(?![/\\])[\w/-]*", address) else "/"


def _asked(request: Request, to: str, status: HTTPStatus = HTTPStatus.OK) -> HTMLResponse:
    rules: Rules = request.app.state.rules
    asked = {"login": rules.login, "token": rules.token is not None, "to": own_page(to)}
    return page(request, "login", status, wrong=status != HTTPStatus.OK, **asked)
