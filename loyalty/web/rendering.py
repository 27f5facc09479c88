"""Pages: one function that renders a template for whoever asks, in their language and the programme's time zone.

Every template gets `t` (words), `format` (numbers, money, dates), `asset` (addresses of static files), `csrf` (the
hidden field of a form), `programme`, `language`, `language_link`, `path` and `signed_in`. A value that is missing is
an error, not an empty string.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Hashable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Litestar, Request, Response
from litestar.config.app import AppConfig
from litestar.config.compression import CompressionConfig
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.plugins import InitPlugin
from litestar.status_codes import HTTP_200_OK, HTTP_304_NOT_MODIFIED
from litestar.template.base import csrf_token
from markupsafe import Markup, escape

from loyalty.kit.programme import Programme
from loyalty.web import draw_proofs
from loyalty.web.assets import Assets, serve_asset
from loyalty.web.i18n import LANGUAGE_TAGS, LANGUAGES, Formats, Language, Translator, choose_language
from loyalty.web.ornament import engrave, rosette
from loyalty.web.problems import Problem
from loyalty.web.shapes import Shape, Shapes, slot

_TEMPLATES: Final = Path(__file__).parent / "templates"
LANGUAGE_COOKIE: Final = "lang"
_A_YEAR_SECONDS: Final = 365 * 24 * 3600

VARY: Final = "Accept-Language, Cookie"
REVALIDATED: Final = "private, no-cache"
"""Cache-Control of a page that says nothing personal: kept by whoever got it, and asked for again each time."""

ASKED_PATH: Final = "asked_path"
"""In a request's state: the path as it was asked for, where routing took another."""
_ERROR_KINDS_BY_TYPE: Final = {"/problems/invalid-digital-link": "bad_link", "/problems/no-such-link": "no_link"}
_ERROR_KINDS: Final = {403: "forbidden", 404: "not_found", 410: "not_found", 413: "too_large", 429: "too_many"}
_SHOWN_PROGRAMME: Final = "shown_programme"
"""In the application's state: whose page was shown last. An error page must not ask the database whose it is."""
_GZIP_LEVEL: Final = 6
_SMALLEST_COMPRESSED: Final = 1000
"""Bytes: less than that travels in one packet anyway."""
_UNAVAILABLE: Final = 503
_OUR_FAULT: Final = 500


class Pages(InitPlugin):
    """Gives an application its static files and its templates. `theme` is a brand's style sheet, where it has one."""

    def __init__(self, *, theme: Path | None = None) -> None:
        self._theme = theme

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Read the static files, serve them, draw problems for people, and compress what is worth it.

        Programs' answers stay as they are: most are small, and their clients count microseconds.
        """
        app_config.state["assets"] = Assets(theme=self._theme)
        app_config.state["problem_page"] = problem_page
        app_config.state["shapes"] = Shapes()
        app_config.route_handlers.append(serve_asset)
        app_config.compression_config = CompressionConfig(
            backend="gzip",
            gzip_compress_level=_GZIP_LEVEL,
            minimum_size=_SMALLEST_COMPRESSED,
            exclude=[r"^/(v1|epcis)(/|$)", draw_proofs.PATH],
        )
        return app_config


@cache
def environment() -> Environment:
    """The Jinja environment: everything escaped, nothing undefined."""
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        auto_reload=False,  # else each page asks the disk whether its templates have changed
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["phrases"] = phrases
    made.globals.update(
        {"rosette": rosette, "engrave": engrave, "languages": LANGUAGES, "language_tags": LANGUAGE_TAGS}
    )
    return made


_CLAUSE: Final = re.compile("[^，。；：？！、]+[，。；：？！、]*")
_CHINESE_DAY: Final = re.compile(r"(\d+年\d+月\d+日)")
_CJK: Final = re.compile("[\u4e00-\u9fff]")


def phrases(text: str) -> Markup:
    """Wrap each clause of a Chinese sentence, so that short lines break at its punctuation and never inside a date.

    Browsers may break Chinese between any two characters; `.phrase` in base.css asks them to try clauses first.
    English is left alone: it breaks at spaces.
    """
    if not _CJK.search(text):
        return escape(text)
    return Markup("").join(
        Markup('<span class="phrase">{}</span>').format(keep_days_whole(clause)) for clause in _CLAUSE.findall(text)
    )


def keep_days_whole(clause: str) -> Markup:
    """Write a clause so that no line breaks inside a Chinese date."""
    return Markup(_CHINESE_DAY.sub(r'<span class="nowrap">\1</span>', str(escape(clause))))  # noqa: S704  (escaped before)


def language_of(request: ASGIConnection[Any, Any, Any, Any], *, default: str = "en") -> Language:
    """The language of a request: `?lang=`, then the cookie, then Accept-Language, then the programme's."""
    return choose_language(
        asked=request.query_params.get("lang"),
        remembered=request.cookies.get(LANGUAGE_COOKIE),
        accept_language=request.headers.get("accept-language"),
        default=default,
    )


def render(
    request: Request[Any, Any, Any],
    template: str,
    *,
    programme: Programme | None,
    here: str | None = None,
    **context: Any,
) -> str:
    """Render a template of `templates/` to a string. `programme` is None only where it cannot be known (an error).

    `here` is the address at which a GET shows this page, where that is not the request's own: what a form answered has
    no address, and the links to other languages need one.
    """
    language = language_of(request, default=programme.locale if programme else "en")
    values = _common(request.app, programme, language) | {
        "language_link": lambda other: _language_link(request, here, other),
        "csrf": _csrf_field(request),
    }
    return environment().get_template(template).render(values | context)


def _common(app: Litestar, programme: Programme | None, language: Language) -> dict[str, Any]:
    """What every template gets, whoever asks."""
    return {
        "t": Translator(language),
        "format": Formats(language, programme.zone if programme else ZoneInfo("UTC")),
        "language": language,
        "asset": app.state.assets.address,
        "programme": programme,
        "signed_in": False,
    }


def page(
    request: Request[Any, Any, Any],
    template: str,
    *,
    programme: Programme | None,
    status_code: int = 200,
    private: bool = False,
    here: str | None = None,
    **context: Any,
) -> Response[bytes]:
    """Render a template into an answer, as `render` does. `context` may say `signed_in=True`.

    A page is revalidated by its ETag, so that going back or reloading on a bad network costs a 304. One that shows a
    person's data (`private`) is never stored, so that the back button shows nothing after signing out.
    """
    body = render(request, template, programme=programme, here=here, **context).encode()
    if programme is not None:
        request.app.state[_SHOWN_PROGRAMME] = programme
    tag = hashlib.sha256(body).hexdigest()[:20]
    return _answer(request, body, tag, status_code=status_code, private=private)


def find_shape(
    app: Litestar, template: str, *, programme: Programme, language: Language, key: Hashable, **context: Any
) -> Shape:
    """The shape of a page that many visitors see alike (see `shapes`), drawn where it was not yet.

    `context` is what is the same for all who share the `key`, and has `slot(name)` where the rest stands. `csrf` and
    the links to other languages (`link_{language}`) are slots, too.
    """

    def draw() -> str:
        slots = {"csrf": slot("csrf"), "language_link": lambda other: slot(f"link_{other}")}
        values = _common(app, programme, language) | slots | context
        return environment().get_template(template).render(values)

    app.state[_SHOWN_PROGRAMME] = programme
    shapes: Shapes = app.state["shapes"]
    return shapes.find((template, language, programme, key), draw)


def shaped_page(
    request: Request[Any, Any, Any],
    shape: Shape,
    values: Mapping[str, str],
    *,
    status_code: int = 200,
    private: bool = False,
) -> Response[bytes]:
    """As `page`, from a shape and what is to stand in its slots, as HTML. Those of `find_shape` are seen to here."""
    own = {f"link_{other}": str(escape(_language_link(request, None, other))) for other in LANGUAGES}
    own["csrf"] = _csrf_field(request)
    filled = shape.fill({**own, **values})
    return _answer(request, filled.body, filled.tag, status_code=status_code, private=private)


def _answer(
    request: Request[Any, Any, Any], body: bytes, tag: str, *, status_code: int, private: bool
) -> Response[bytes]:
    headers = {"Vary": VARY, "Cache-Control": "no-store" if private else REVALIDATED}
    cookies = _language_cookies(request)
    if status_code == HTTP_200_OK and not private:
        headers["ETag"] = weak(tag)
        if request.method in ("GET", "HEAD") and request.headers.get("if-none-match") == headers["ETag"]:
            return Response(b"", status_code=HTTP_304_NOT_MODIFIED, headers=headers, cookies=cookies)
    return Response(body, media_type="text/html", status_code=status_code, headers=headers, cookies=cookies)


def weak(tag: str) -> str:
    """A weak entity tag (RFC 9110, section 8.8.3): compressed or not, it is the same page."""
    return f'W/"{tag}"'


def problem_page(request: Request[Any, Any, Any], problem: Problem) -> Response[bytes]:
    """A kind page for an error: what happened and what to do, and no word of machinery."""
    if problem.status >= _OUR_FAULT:
        kind = "unavailable" if problem.status == _UNAVAILABLE else "broken"
    else:
        kind = _ERROR_KINDS_BY_TYPE.get(problem.type) or _ERROR_KINDS.get(problem.status, "not_understood")
    instance = (problem.instance or "").removeprefix("urn:uuid:")[:8]
    return page(
        request,
        "error.html",
        programme=request.app.state.get(_SHOWN_PROGRAMME),
        status_code=problem.status,
        private=True,
        kind=kind,
        instance=instance,
    )


def _csrf_field(request: Request[Any, Any, Any]) -> Markup:
    token = csrf_token({"request": request})
    return Markup('<input type="hidden" name="_csrf_token" value="{}">').format(token)


def _language_link(request: Request[Any, Any, Any], here: str | None, language: Language) -> str:
    asked = request.scope.get("state", {}).get(ASKED_PATH, request.url.path)
    path, _, query = (here or asked).partition("?")
    if not here and not request.scope["query_string"]:
        return f"{asked}?lang={language}"
    own = parse_qsl(query) if here else list(request.query_params.multi_items())
    return f"{path}?{urlencode([*((name, value) for name, value in own if name != 'lang'), ('lang', language)])}"


def _language_cookies(request: Request[Any, Any, Any]) -> list[Cookie]:
    asked = request.query_params.get("lang")
    if asked not in LANGUAGES:
        return []
    return [Cookie(LANGUAGE_COOKIE, value=asked, max_age=_A_YEAR_SECONDS, samesite="lax", httponly=True)]
