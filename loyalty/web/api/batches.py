"""Many postings in one request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from litestar import Request, Response, Router, post
from litestar.di import NamedDependency

from loyalty.web.api import batches_schemas as shapes
from loyalty.web.api.batching import MOST_TOGETHER, BatchRun
from loyalty.web.api.lines import NDJSON, LinesResponse
from loyalty.web.api.operations import Require, body_problems
from loyalty.web.idempotency import answer
from loyalty.web.requests import JSON, UnsupportedMediaTypeError, decode_shallowly
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services

BATCH_BYTES_LIMIT: Final = 16_000_000
"""A JSON body above this is refused with 413: 10,000 items of 1,600 bytes, and most have 150. Lines are not limited."""

READS: Final[Mapping[str, Any]] = {JSON: shapes.BatchRequest, NDJSON: shapes.BatchItem}
ANSWERS: Final[Mapping[str, Any]] = {JSON: shapes.BatchAnswer, NDJSON: shapes.BatchResult}


@post(
    "/ledger/batch",
    operation_id="postBatch",
    summary="Post many postings",
    guards=[Require("points:write")],
    responses=body_problems(),
    status_code=200,
    request_max_body_size=BATCH_BYTES_LIMIT,
    opt={"reads": READS, "answers": ANSWERS},
)
async def post_batch(
    request: Request[Any, Any, Any], services: NamedDependency[Services], caller: NamedDependency[Caller]
) -> Response[shapes.BatchAnswer]:
    """Post up to 10,000 items, each by itself: with its own idempotency key, and with its own result.

    What one item is refused for stops no other, and the answer is 200 whatever became of them: read each result's
    `status`. Repeat the batch, or a part of it, with the same keys until every item has an answer; each takes effect
    once. Items are posted in transactions of up to 1,000, so the answer may come when some are posted and the database
    went away: the others' results then say 503.

    Send JSON and get JSON; or send lines of JSON (`application/x-ndjson`), an item a line, and get a line for each
    result while you are still sending. A line that is not JSON is that item's problem alone.
    """
    media_type, _ = request.content_type
    run = BatchRun(services, caller)
    if media_type == NDJSON:
        return LinesResponse(run)
    if media_type and media_type != JSON:
        message = f"this address reads {JSON} and {NDJSON}, not {media_type[:80]}"
        raise UnsupportedMediaTypeError(message)
    items = decode_shallowly(await request.body(), shapes.Envelope).items
    results: list[shapes.BatchResult] = []
    for first in range(0, len(items), MOST_TOGETHER):
        results += await run.post(items[first : first + MOST_TOGETHER])
    posted, replayed = sum(result.posting is not None for result in results), sum(each.replayed for each in results)
    told = shapes.BatchAnswer(
        posted=posted - replayed, replayed=replayed, refused=len(results) - posted, results=results
    )
    return answer(told, status=200)


router: Final = Router(path="/", tags=["Points"], route_handlers=[post_batch])
