"""How scans are answered: the thresholds of verdicts and claims, as sentences with their numbers to fill in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.thresholds import read_thresholds, set_thresholds
from loyalty.items.verdicts import DEFAULT_SETTINGS, ItemSettings
from loyalty.kit.errors import InvalidInputError
from loyalty.web.console.desk import console_page, words
from loyalty.web.console.trace import REFUSED
from loyalty.web.forms import read_form, see_other
from loyalty.web.i18n import Translator
from loyalty.web.security.staff_actions import record_action
from loyalty.web.staff.person import Desk, read_manager
from loyalty.web.state import Services

THRESHOLDS: Final = "/console/scans/thresholds"
SENTENCES: Final[Mapping[str, tuple[str, ...]]] = {
    "verdicts": ("devices", "cities", "speed", "network"),
    "tries": ("tries",),
    "claims": ("claims", "expired", "pin"),
}
"""The sentences of each part of the form; their gaps are the thresholds that their texts name."""
NAMES: Final = tuple(field.name for field in msgspec.structs.fields(ItemSettings))
SWITCHES: Final = frozenset(name for name in NAMES if isinstance(getattr(DEFAULT_SETTINGS, name), bool))
_MARK: Final = "\0"


@get("/scans/thresholds")
async def show_thresholds(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """What holds, in sentences."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        return await _show(request, connection, desk)


async def _show(
    request: Request[Any, Any, Any],
    connection: AsyncConnection,
    desk: Desk,
    *,
    form: Mapping[str, str] | None = None,
    wrong: str | None = None,
) -> Response[Any]:
    held = await read_thresholds(connection, programme_id=desk.programme.id)
    t, _ = words(request, desk)
    return console_page(
        request,
        "console/thresholds.html",
        desk,
        section="scans",
        status_code=REFUSED if wrong else 200,
        here=THRESHOLDS,
        parts={part: [read_sentence(name, t) for name in names] for part, names in SENTENCES.items()},
        switches=SWITCHES,
        form=form or _filled(held),
        wrong=wrong,
        limits=_limits(wrong) if wrong else None,
        may_change=desk.staff.may("admin"),
        usual=held == DEFAULT_SETTINGS,
        saved="saved" in request.query_params,
    )


def read_sentence(name: str, t: Translator) -> list[tuple[str, str]]:
    """A sentence's words, each with the threshold in the gap after them; the last with none."""
    gaps = {each: f"{_MARK}{each}{_MARK}" for each in NAMES}
    pieces = t(f"thresholds.say.{name}", **gaps).split(_MARK)
    return list(zip(pieces[::2], [*pieces[1::2], ""], strict=True))


def _filled(held: ItemSettings) -> dict[str, str]:
    """What stands in the gaps."""
    values = msgspec.structs.asdict(held)
    return {name: ("no", "yes")[value] if name in SWITCHES else str(value) for name, value in values.items()}


def _limits(name: str) -> tuple[int, int]:
    """The least and the most that a threshold can be."""
    field = next(field for field in msgspec.structs.fields(ItemSettings) if field.name == name)
    kind = msgspec.inspect.type_info(field.type)
    assert isinstance(kind, msgspec.inspect.IntType)  # noqa: S101  (a switch cannot be wrong)
    return kind.ge or 0, kind.le or 0


@post("/scans/thresholds", status_code=303)
async def save_thresholds(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Set all of them, or take back what was set. What is as usual follows our defaults from then on."""
    form = await read_form(request, "do", *NAMES, limit=9)
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection, role="admin")
            wanted = dict.fromkeys(NAMES) if form["do"] == "reset" else {name: _read(form, name) for name in NAMES}
            await set_thresholds(connection, programme_id=desk.programme.id, changes=wanted)
            await record_action(
                connection,
                programme_id=desk.programme.id,
                staff_id=desk.staff.id,
                action="change-thresholds",
                subject_id=desk.programme.id,
                note=msgspec.json.encode(wanted).decode(),
            )
    except InvalidInputError as error:
        async with services.transaction() as connection:
            return await _show(request, connection, desk, form=form, wrong=error.field)
    return see_other(f"{THRESHOLDS}?saved=1")


def _read(form: Mapping[str, str], name: str) -> int | bool | None:
    """What was chosen; None where it is as usual. Raises InvalidInputError."""
    text, usual = form[name], getattr(DEFAULT_SETTINGS, name)
    if name not in SWITCHES and not text.isdecimal():
        raise InvalidInputError("a whole number is needed", field=name)
    value = text == "yes" if name in SWITCHES else int(text)
    return None if value == usual else value


HANDLERS: Final = (show_thresholds, save_thresholds)
