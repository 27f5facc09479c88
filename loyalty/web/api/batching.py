"""A batch under way: items in, results out, a thousand to a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, cast
from uuid import UUID

import msgspec

from ledger.posting import Posting
from loyalty.campaigns.requests import Request
from loyalty.kit.errors import DomainError, IdempotencyMismatchError, InvalidInputError, UnavailableError
from loyalty.web.api import batches_schemas as shapes
from loyalty.web.api import postings
from loyalty.web.api.people import member_uuid
from loyalty.web.api.points_schemas import posting_answer
from loyalty.web.api.postings import Build, Target, hold_uuid
from loyalty.web.problems import FieldFault, ProblemDetails, problem_of
from loyalty.web.requests import decode_body
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services

MOST_TOGETHER: Final = 1_000
"""Items a transaction: enough to be fast, and their members are kept from others for some tens of milliseconds."""

ITEM_BYTES_LIMIT: Final = 16_384
"""An item takes some hundred bytes."""

_BUILDS: Final[dict[type[Any], Build[Any]]] = {
    shapes.EarnItem: postings.earn,
    shapes.SpendItem: postings.spend,
    shapes.ClawBackItem: postings.claw_back,
    shapes.AdjustItem: postings.adjust,
    shapes.ReverseItem: postings.reverse,
    shapes.HoldItem: postings.hold,
    shapes.CaptureItem: postings.capture,
    shapes.ReleaseItem: postings.release,
    shapes.ConfirmItem: postings.confirm,
}
_FIELDS: Final = {"key": "idempotency_key", "member": "member_id", "hold": "hold_id"}
"""What the ledger calls by a shorter name than an item does."""


class _Key(msgspec.Struct):
    """An item of which only the key is read, to say in its result which one it was."""

    idempotency_key: str


class _Item(NamedTuple):
    key: str | None
    asked: Request | Exception


class BatchRun:
    """One batch of one caller. Whoever feeds it gives items in their order, and gets their results in that order."""

    def __init__(self, services: Services, caller: Caller) -> None:
        self._services = services
        self._caller = caller
        self._seen: set[tuple[UUID, str]] = set()
        self._away: str | None = None
        self.items = 0

    async def post(self, raws: Sequence[bytes | msgspec.Raw]) -> list[shapes.BatchResult]:
        """Post the next items in one transaction and answer each.

        Raises UnavailableError while nothing at all was posted; once something was, that is each item's own problem,
        and no more is tried.
        """
        items = [self._read(bytes(raw)) for raw in raws]
        asked = [item.asked for item in items if not isinstance(item.asked, Exception)]
        posted = iter(await self._post(asked))
        first, self.items = self.items, self.items + len(items)
        return [
            _result(first + place, item.key, item.asked if isinstance(item.asked, Exception) else next(posted))
            for place, item in enumerate(items)
        ]

    def refuse(self, error: DomainError) -> shapes.BatchResult:
        """The result of an item that is not read, for a reason that ends the batch."""
        return _result(self.items, None, error)

    async def _post(self, asked: Sequence[Request]) -> Sequence[Posting | Exception]:
        if self._away is None and asked:
            results = await self._services.coalescer.post_all(self._caller.programme_id, asked)
            if not all(isinstance(result, UnavailableError) for result in results):
                return results
            self._away = str(results[0])
            if not self.items:
                raise UnavailableError(self._away)
        return [UnavailableError(self._away or "") for _ in asked]

    def _read(self, raw: bytes) -> _Item:
        key: str | None = None
        try:
            if len(raw) > ITEM_BYTES_LIMIT:
                message = f"has more than {ITEM_BYTES_LIMIT} bytes"
                raise InvalidInputError(message, field="body")
            item: Any = decode_body(raw, shapes.BatchItem)
            key = item.idempotency_key
            hold_id = hold_uuid(item.hold_id) if isinstance(item, shapes.CaptureItem | shapes.ReleaseItem) else None
            target = Target(member_uuid(item.member_id), f"{self._caller.key.prefix}:{key}", hold_id)
            asked = _BUILDS[type(item)](item, target)
        except DomainError as error:
            return _Item(key or _key_in(raw), error)
        place = (target.member_id, target.key)
        if place in self._seen:
            message = "an item before this one has this key and is of this member"
            return _Item(key, IdempotencyMismatchError(message, field="idempotency_key"))
        self._seen.add(place)
        return _Item(key, asked)


def _key_in(raw: bytes) -> str | None:
    """The key of an item that could not be read as a whole."""
    try:
        return msgspec.json.decode(raw, type=_Key).idempotency_key
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _result(index: int, key: str | None, result: Posting | Exception) -> shapes.BatchResult:
    if isinstance(result, Posting):
        return shapes.BatchResult(
            index=index,
            idempotency_key=key,
            status=postings.STATUS,
            replayed=result.replayed,
            posting=posting_answer(result),
            problem=None,
        )
    problem = problem_of(result)
    named = [FieldFault(_FIELDS.get(fault.field, fault.field), fault.reason) for fault in problem.errors]
    told = msgspec.structs.replace(problem, errors=named).to_json()
    return shapes.BatchResult(
        index=index,
        idempotency_key=key,
        status=problem.status,
        replayed=False,
        posting=None,
        # It is written already: a problem may have members of its own beside those of the type.
        problem=cast("ProblemDetails", msgspec.Raw(told)),
    )
