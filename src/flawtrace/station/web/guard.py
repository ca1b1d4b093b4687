"""Who may ask, and what a browser may do with an answer.

A page on another site can make a visitor's browser send requests here, and a name that is made to point to
this machine can make it read the answers (DNS rebinding). So requests must name this station as their host,
and what changes anything must come from one of its own pages, as browsers say in `Sec-Fetch-Site` and
`Origin`, or from a program, which says neither.
"""

import hmac
import secrets
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlencode, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request, cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flawtrace.station.store.database import Database
from flawtrace.station.store.people import Person, person
from flawtrace.station.store.tables import Role

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
MOST_BYTES = 256 * 2**20
"""Of one request: no image that is taken is larger, and whoever has more sends it in parts."""
TOO_MUCH = f"The request is too large.\nExpected at most {MOST_BYTES // 2**20} MB.\nSend less at once."
FOREIGN_NAME = (
    "This station is not known under that name.\nExpected the address that it told when it was opened.\n"
    "Further names are given with `flawtrace serve … --name NAME`."
)
FOREIGN_PAGE = (
    "This request came from a page of another site.\nExpected one of this station's own pages.\n"
    "Open the station, and do it there."
)
NOBODY = (
    "Nobody has said who asks.\nExpected the station's token in the header `Authorization: Bearer …`.\n"
    "In a browser, enter on the page /login."
)
NO_ENGINEER = (
    "Only engineers train, promote and decide.\nExpected somebody with that role.\n"
    "Ask an engineer, or become one: `flawtrace serve WORKSPACE --add-person NAME --role engineer`."
)
FOR_MACHINES = ("/v1/", "/v2", "/metrics", "/openapi.json")
"""Where whoever asks is a program, whatever it accepts."""
LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN = ("/login", "/static/", "/v2/health/live")
"""What those may see who have not said who they are."""
COOKIE = "flawtrace"
A_SHIFT = 12 * 3600
"""Seconds that a session lasts, whatever a browser makes of its cookie."""
ENGINEER = ("/jobs", "/detectors")
"""Whatever begins so is changed by engineers alone."""


@dataclass(frozen=True)
class User:
    name: str
    role: Role
    password: str | None = field(default=None, repr=False)
    """Hash of the password that was said; None where none was."""

    @property
    def engineer(self) -> bool:
        return self.role == "engineer"


ANYONE = User("", "engineer")
"""Who sits at this machine, where no other can be reached from."""


@dataclass
class Rules:
    """How a station is reached, and by whom."""

    hosts: Collection[str] = LOCAL
    """Names under which it may be asked for."""
    token: str | None = None
    """What programs and people show who come from elsewhere; None lets everyone in."""
    login: bool = False
    """Whether people have names and passwords."""
    sessions: dict[str, tuple[User, float]] = field(default_factory=dict)
    """People who have shown who they are, and until when that counts, by the secret in their cookie; they do
    so again after a restart, and when they have another role or password."""

    @property
    def closed(self) -> bool:
        return self.token is not None or self.login

    def admit(self, user: User) -> str:
        """The secret of a new session; those that have ended are forgotten."""
        now, secret = time.monotonic(), secrets.token_urlsafe(32)
        for ended in [known for known, (_, end) in list(self.sessions.items()) if end <= now]:
            self.sessions.pop(ended, None)
        self.sessions[secret] = user, now + A_SHIFT
        return secret

    def knows_token(self, said: str) -> bool:
        return self.token is not None and hmac.compare_digest(said.encode(), self.token.encode())

    def user(self, headers: Headers) -> User | None:
        """Who asks; None if they have not said so."""
        if not self.closed:
            return ANYONE
        scheme, _, said = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.knows_token(said):
            return User("token", "engineer")
        secret = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        user, end = self.sessions.get(secret, (None, 0.0))
        return user if time.monotonic() < end else None


class Guard:
    """Stands before the application: refuses, or lets in and adds the headers that bind a browser."""

    def __init__(
        self,
        app: ASGIApp,
        rules: Rules,
        database: Database,
        answer: Callable[[Request, str, HTTPStatus], Response],
    ) -> None:
        """`answer` says why a request is refused, to people as to programs."""
        self._app, self._rules, self._database, self._answer = app, rules, database, answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})["user"] = None
        answer_with: ASGIApp = self._app
        if (refusal := await self._refusal(scope, Headers(scope=scope))) is not None:
            answer_with = await run_in_threadpool(self._refused, scope, *refusal)

        async def bound(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    answer.setdefault(name, value)
                answer.setdefault("Cache-Control", "no-store")
            await send(message)

        await answer_with(scope, receive, bound)

    async def _refusal(self, scope: Scope, headers: Headers) -> tuple[str, HTTPStatus] | None:
        """Why a request is not answered; sets who asks where it is."""
        safe = scope["method"] in SAFE
        if _host(headers.get("host", "")) not in self._rules.hosts:
            return FOREIGN_NAME, HTTPStatus.MISDIRECTED_REQUEST
        if not safe and not _own(headers):
            return FOREIGN_PAGE, HTTPStatus.FORBIDDEN
        if _length(headers) > MOST_BYTES:
            return TOO_MUCH, HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        user = self._rules.user(headers)
        if user is not None and user.password is not None:
            user = await run_in_threadpool(_still, self._database, user)
        scope["state"]["user"] = user
        return _not_for(user, scope["path"], safe)

    def _refused(self, scope: Scope, message: str, status: HTTPStatus) -> Response:
        """To people who have not said who they are, the page on which they can, and then on to this one."""
        request = Request(scope)
        if status == HTTPStatus.UNAUTHORIZED and for_people(request):
            wanted = request.url.path if request.method in SAFE else "/"
            return RedirectResponse(f"/login?{urlencode({'to': wanted})}", HTTPStatus.SEE_OTHER)
        return self._answer(request, message, status)


def _still(database: Database, user: User) -> User | None:
    """Who has said a password, if they are let in by it still; asked with each request, as it may have been
    changed, or they removed, by another process.
    """
    now = person(database, user.name)
    return user if now == Person(user.name, user.role, user.password or "") else None


def for_people(request: Request) -> bool:
    """Whether a person sees the answer, and not a program."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(FOR_MACHINES)


def _not_for(user: User | None, path: str, safe: bool) -> tuple[str, HTTPStatus] | None:
    """Why somebody may not do this."""
    if user is None and not path.startswith(OPEN):
        return NOBODY, HTTPStatus.UNAUTHORIZED
    if user is not None and not safe and not user.engineer and path.startswith(ENGINEER):
        return NO_ENGINEER, HTTPStatus.FORBIDDEN
    return None


def _host(header: str) -> str:
    """The name in a header `Host`, without its port."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def _length(headers: Headers) -> int:
    """Bytes that a request announces; one that announces none is counted while it is read."""
    said = headers.get("content-length", "")
    return int(said) if said.isdecimal() else 0


def _own(headers: Headers) -> bool:
    """Whether a request comes from a page of this station, or from a program."""
    if (site := headers.get("sec-fetch-site")) is not None:
        return site in ("same-origin", "none")
    if (origin := headers.get("origin")) is not None:
        return origin.partition("://")[2] == headers.get("host")
    return True
