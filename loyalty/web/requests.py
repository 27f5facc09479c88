"""Reading a JSON body: strictly, with a limit, naming the field that is wrong."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import msgspec
from litestar import Request
from litestar.exceptions import HTTPException

from loyalty.kit.errors import FieldError, InvalidInputError

MAX_BODY_BYTES: Final = 1_000_000
"""A body above this is refused with 413. An order of 1,000 lines takes a quarter of it."""

JSON: Final = "application/json"
_JSON_TYPES: Final = (JSON, "application/problem+json")
_AT_PATH: Final = re.compile(r"^(?P<reason>.*?)(?: - at `\$(?P<path>.*)`)?$", re.DOTALL)
_NAMED_FIELD: Final = re.compile(
    r"^Object (?P<what>missing required|contains unknown) field `(?P<name>.*)`$", re.DOTALL
)
_ESCAPED_NUL: Final = b"\\u0000"

MOMENT_PATTERN: Final = r"^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$"
"""RFC 3339 with its offset."""


class UnsupportedMediaTypeError(HTTPException):
    """The body is of a type that is not read here."""

    status_code = 415


def fault(message: str) -> FieldError:
    """Turn msgspec's sentence (`Expected int, got str - at $.lines[0].quantity`) into the field and the reason."""
    match = _AT_PATH.match(message)
    reason, path = (match["reason"], match["path"] or "") if match else (message, "")
    field = path.removeprefix(".")
    if named := _NAMED_FIELD.match(reason):
        field = f"{field}.{named['name']}" if field else named["name"]
        reason = "is required" if named["what"] == "missing required" else "is not a field of this request"
    return FieldError(field or "body", reason.replace("`", ""))


class InvalidBodyError(InvalidInputError):
    """A JSON body that does not fit its type. Names one field: the first that is wrong."""

    def __init__(self, error: FieldError) -> None:
        super().__init__(error["reason"], field=error["field"])


@lru_cache(maxsize=256)
def _decoder(target: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(target)


def decode_body(body: bytes, target: Any) -> Any:
    """Decode a JSON body into a msgspec type. Raises InvalidBodyError.

    Strict: `"100"` is no number, and a field that the type does not have is refused. The character U+0000 is refused
    too, because PostgreSQL's text cannot hold it. Moments are given in UTC, whatever offset they came with: PostgreSQL
    does not know all offsets that RFC 3339 allows, and the same moment is then the same request.
    """
    value = _in_utc(decode_shallowly(body, target), "")
    if _ESCAPED_NUL in body and (path := _find_nul(msgspec.json.decode(body), "")) is not None:
        raise InvalidBodyError(FieldError(path or "body", "contains the character U+0000, which cannot be kept"))
    return value


def decode_shallowly(body: bytes, target: Any) -> Any:
    """Decode a JSON body whose parts (msgspec.Raw) are decoded later by `decode_body`. Raises InvalidBodyError."""
    try:
        return _decoder(target).decode(body)
    except msgspec.ValidationError as error:
        raise InvalidBodyError(fault(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidBodyError(FieldError("body", f"is not JSON: {error}")) from error
    except RecursionError as error:
        raise InvalidBodyError(FieldError("body", "is nested too deeply")) from error


def utc(moment: datetime, *, field: str) -> datetime:
    """The same moment in UTC. Raises InvalidInputError where it has no offset, or no year that can be written."""
    if moment.tzinfo is None:
        raise InvalidInputError("needs an offset, such as Z or +08:00", field=field)
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise InvalidInputError("is beyond the years 1 to 9999", field=field) from error


def read_moment(text: str | None, *, field: str) -> datetime | None:
    """A query parameter's moment in UTC. Raises InvalidInputError.

    Such a parameter is declared as text with MOMENT_PATTERN: read as either a moment or nothing, a bare number would be
    taken for seconds.
    """
    if text is None:
        return None
    try:
        return utc(datetime.fromisoformat(text), field=field)
    except ValueError as error:
        raise InvalidInputError("is not a moment of the calendar", field=field) from error


def _in_utc(value: Any, path: str) -> Any:
    """The value with every moment in UTC; the very same value where there is none."""
    if isinstance(value, datetime):
        return utc(value, field=path)
    if isinstance(value, list):
        members = [_in_utc(member, f"{path}[{index}]") for index, member in enumerate(value)]
        return members if any(new is not old for new, old in zip(members, value, strict=True)) else value
    if isinstance(value, msgspec.Struct):
        prefix = f"{path}." if path else ""
        fields = {name: getattr(value, name) for name in value.__struct_fields__}
        changed = {
            name: new
            for name, old in fields.items()
            if isinstance(old, datetime | list | msgspec.Struct) and (new := _in_utc(old, prefix + name)) is not old
        }
        return msgspec.structs.replace(value, **changed) if changed else value
    return value


def _find_nul(value: Any, path: str) -> str | None:
    """The path of the first string that holds U+0000, or of the object that has such a key."""
    if isinstance(value, str):
        return path if "\0" in value else None
    if isinstance(value, dict):
        if any("\0" in key for key in value):
            return path
        members = [(f"{path}.{key}" if path else key, member) for key, member in value.items()]
    elif isinstance(value, list):
        members = [(f"{path}[{index}]", member) for index, member in enumerate(value)]
    else:
        return None
    return next((found for inner, member in members if (found := _find_nul(member, inner)) is not None), None)


class StrictRequest(Request[Any, Any, Any]):
    """A request whose JSON body is decoded into the handler's own type.

    Litestar decodes to plain objects and converts them leniently afterwards, so `"100"` would pass for a number.
    """

    async def json(self) -> Any:
        """The body as the type of the handler's `data`. Raises InvalidBodyError and UnsupportedMediaTypeError."""
        media_type, _ = self.content_type
        if media_type and media_type not in _JSON_TYPES:
            message = f"this address reads application/json, not {media_type[:80]}"
            raise UnsupportedMediaTypeError(message)
        field = self.route_handler.parsed_fn_signature.parameters.get("data")
        return decode_body(await self.body(), field.annotation if field else Any)
