"""The parameters of a query, read from an address: the EPCIS query language, as far as it is answered here.

Values of one parameter are alternatives, separated by `|`; parameters are conditions that all hold (EPCIS 2.0, section
8.2.7, and query-schema.json 2.0.1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from loyalty.items.epcis import vocabulary
from loyalty.items.epcis.contexts import Context
from loyalty.items.epcis.epcs import parse_epc, pattern_prefix
from loyalty.items.epcis.moments import parse_moment
from loyalty.items.epcis.storing import CLASS_ROLES, OBJECT_ROLES
from loyalty.items.epcis.types import EVENT_TYPES
from loyalty.kit.errors import InvalidInputError

PAGE_SIZE: Final = 30
MAX_PAGE_SIZE: Final = 1000
MOST_VALUES: Final = 200
"""Values of one parameter."""
_MOST_EVENTS: Final = 10**9

Column = Literal[
    "event_type",
    "action",
    "biz_step",
    "disposition",
    "read_point",
    "biz_location",
    "transformation_id",
    "event_id",
    "error_reason",
]
TimeColumn = Literal["event_time", "record_time", "declared_at"]


class QueryParameterError(InvalidInputError):
    """A query parameter that is none, or a value that it cannot have. `field` names the parameter."""

    type = "epcis-query-parameter"
    title = "This is not a query that EPCIS knows"


class Mention(msgspec.Struct, frozen=True):
    """Events that mention one of these names in one of these roles. A name may stand for all that start with it."""

    parameter: str
    names: tuple[str, ...]
    prefixes: tuple[str, ...]
    roles: tuple[str, ...]


class Query(msgspec.Struct, kw_only=True):
    """What is asked for. Empty in every field, it is every event."""

    equal: dict[Column, tuple[str, ...]] = {}
    within: dict[Column, tuple[str, ...]] = {}
    """Places, and what lies within them: the extensions of a GLN."""
    since: dict[TimeColumn, datetime] = {}
    before: dict[TimeColumn, datetime] = {}
    mentions: list[Mention] = []
    declared: bool | None = None
    """Whether only error declarations are asked for, or only other events."""
    order_by: Literal["event_time", "record_time"] = "event_time"
    ascending: bool = False
    page_size: int = PAGE_SIZE
    most: int | None = None
    """The most events that are answered over all pages."""
    refuse_above: int | None = None
    """The number of events above which the query is refused."""


_MATCHES: Final = {
    "MATCH_anyEPC": OBJECT_ROLES,
    "MATCH_epc": ("epc", "child"),
    "MATCH_parentID": ("parent",),
    "MATCH_inputEPC": ("input",),
    "MATCH_outputEPC": ("output",),
    "MATCH_epcClass": ("class",),
    "MATCH_inputEPCClass": ("inputClass",),
    "MATCH_outputEPCClass": ("outputClass",),
    "MATCH_anyEPCClass": CLASS_ROLES,
}
_TIMES: Final[dict[str, TimeColumn]] = {
    "eventTime": "event_time",
    "recordTime": "record_time",
    "errorDeclaration_Time": "declared_at",
    "errorDeclarationTime": "declared_at",
}
_TYPED: Final = re.compile(r"EQ_(bizTransaction|source|destination)_(.+)")
_TYPES: Final = {
    "bizTransaction": vocabulary.BIZ_TRANSACTION_TYPE,
    "source": vocabulary.SOURCE_DESTINATION_TYPE,
    "destination": vocabulary.SOURCE_DESTINATION_TYPE,
}
_NOT_ANSWERED: Final = re.compile(
    r"(?:EQ|GT|GE|LT|LE|EXISTS|HASATTR|EQATTR)_(?:quantity|ILMD|INNER|ERROR_DECLARATION|ATTR|value|minValue|maxValue|"
    r"meanValue|sDev|percRank|percValue|stringValue|booleanValue|hexBinaryValue|uriValue|type|deviceID|time|startTime|"
    r"endTime|dataProcessingMethod|microorganism|chemicalSubstance|bizRules|sensor\w+|[a-z]\w*:).*"
)
_CONTEXT: Final = Context()


def read_query(parameters: Mapping[str, Iterable[str]]) -> Query:
    """Read the parameters of an address, those of paging included. Raises QueryParameterError naming the parameter."""
    query = Query()
    for name, given in parameters.items():
        values = tuple(part.strip() for text in given for part in text.split("|"))
        if not all(values) or len(values) > MOST_VALUES:
            raise QueryParameterError(f"has no value, or more than {MOST_VALUES}", field=name)
        try:
            _read(query, name, values)
        except ValueError as error:
            raise QueryParameterError(str(error), field=name) from error
    return query


def _read(query: Query, name: str, values: tuple[str, ...]) -> None:
    head, _, rest = name.partition("_")
    typed = _TYPED.fullmatch(name)
    if name in _EQUAL:
        column, canonical = _EQUAL[name]
        query.equal[column] = tuple(canonical(value) for value in values)
    elif name in ("WD_readPoint", "WD_bizLocation"):
        query.within["read_point" if rest == "readPoint" else "biz_location"] = tuple(map(_name, values))
    elif name in _MATCHES:
        prefixes = [pattern_prefix(value) for value in values] if name in _PATTERNS else []
        # A pattern is asked of objects as what their names start with, and of classes as the class it is.
        query.mentions.append(
            Mention(name, tuple(map(_name, values)), tuple(filter(None, prefixes)), tuple(_MATCHES[name]))
        )
    elif typed is not None:
        role = f"{typed[1]}:{_TYPES[typed[1]].canonical(typed[2], _CONTEXT)}"
        query.mentions.append(Mention(name, tuple(map(_name, values)), (), (role,)))
    elif name in ("EQ_persistentDisposition_set", "EQ_persistentDisposition_unset"):
        words = tuple(vocabulary.DISPOSITION.canonical(value, _CONTEXT) for value in values)
        query.mentions.append(Mention(name, words, (), (f"persistentDisposition.{rest.rsplit('_', 1)[1]}",)))
    elif name == "EQ_correctiveEventID":
        query.mentions.append(Mention(name, values, (), ("corrective",)))
    elif head in ("GE", "LT") and rest in _TIMES:
        (query.since if head == "GE" else query.before)[_TIMES[rest]] = parse_moment(_one(values))
    elif name in _SINGLE:
        _SINGLE[name](query, _one(values))
    else:
        known = _NOT_ANSWERED.fullmatch(name) is not None
        message = "is a parameter of EPCIS that is not answered here" if known else "is not a parameter of this request"
        raise ValueError(message)


_PATTERNS: Final = frozenset(name for name in _MATCHES if not name.endswith("Class"))


def _one(values: tuple[str, ...]) -> str:
    if len(values) != 1:
        message = "takes one value"
        raise ValueError(message)
    return values[0]


def _name(value: str) -> str:
    return parse_epc(value).canonical


def _word(words: vocabulary.Vocabulary) -> Callable[[str], str]:
    return lambda value: words.canonical(value, _CONTEXT)


def _of(*allowed: str) -> Callable[[str], str]:
    def canonical(value: str) -> str:
        if value not in allowed:
            message = f"{value[:40]!r} is none of {', '.join(allowed)}"
            raise ValueError(message)
        return value

    return canonical


_EQUAL: Final[dict[str, tuple[Column, Callable[[str], str]]]] = {
    "eventType": ("event_type", _of(*(kind.__name__ for kind in EVENT_TYPES))),
    "EQ_action": ("action", _of("ADD", "OBSERVE", "DELETE")),
    "EQ_bizStep": ("biz_step", _word(vocabulary.BIZ_STEP)),
    "EQ_disposition": ("disposition", _word(vocabulary.DISPOSITION)),
    "EQ_readPoint": ("read_point", _name),
    "EQ_bizLocation": ("biz_location", _name),
    "EQ_transformationID": ("transformation_id", _name),
    "EQ_eventID": ("event_id", str),
    "EQ_errorReason": ("error_reason", _word(vocabulary.ERROR_REASON)),
}


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not (value.isascii() and value.isdecimal()) or not low <= int(value) <= high:
            message = f"is a whole number from {low} to {high}"
            raise ValueError(message)
        return int(value)

    return read


def _setting(field: str, read: Callable[[str], Any]) -> Callable[[Query, str], None]:
    return lambda query, value: setattr(query, field, read(value))


def _direction(value: str) -> bool:
    return _of("ASC", "DESC")(value) == "ASC"


def _order(value: str) -> str:
    return {"eventTime": "event_time", "recordTime": "record_time"}[_of("eventTime", "recordTime")(value)]


def _exists(value: str) -> bool:
    return _of("true", "false")(value) == "true"


_SINGLE: Final[dict[str, Callable[[Query, str], None]]] = {
    "EXISTS_errorDeclaration": _setting("declared", _exists),
    "orderBy": _setting("order_by", _order),
    "orderDirection": _setting("ascending", _direction),
    "perPage": _setting("page_size", _whole(1, MAX_PAGE_SIZE)),
    "eventCountLimit": _setting("most", _whole(1, _MOST_EVENTS)),
    "maxEventCount": _setting("refuse_above", _whole(1, _MOST_EVENTS)),
}
