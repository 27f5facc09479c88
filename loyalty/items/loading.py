"""Reading items: everything that is known of many proven codes, in one statement that answers one JSON text a code.

PostgreSQL writes the text and msgspec reads it into our types, which costs this process a tenth of what sixty columns
do. Each part is looked up by its key in a subquery of its own, so that no plan can come to read a whole table.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.codes import ItemCode
from loyalty.items.precedence import RangeState, Word
from loyalty.items.products import LocalText, Product
from loyalty.items.ranges import CodeRange
from loyalty.items.timeline import STEPS_OF_ASKED, TimelineStep
from loyalty.items.verdicts import (
    DEFAULT_SETTINGS,
    LONGEST_MINUTES,
    ClaimRecord,
    Item,
    ItemRecord,
    ItemSettings,
    UnknownReason,
)
from loyalty.kit.driver import fetch


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """A picture of a product that is stored here; `address` is a path of this server, for ever that picture."""

    address: str
    width: int | None
    height: int | None
    titles: LocalText


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """One code to read, and who asks: `code` is None where it was not proven, and then only the asker is looked up."""

    programme_id: UUID
    code: ItemCode | None
    at: datetime
    device: bytes | None = None
    for_page: bool = False
    """Read its public steps and its product's pictures, too."""
    settings: ItemSettings | None = None
    """In place of the brand's own."""


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What was read. `wrong_tries` of the device are counted up to the settings' limit, within their time."""

    item: Item | UnknownReason
    """`bad_serial` where no code was asked for."""
    settings: ItemSettings
    wrong_tries: int
    steps: list[TimelineStep]
    pictures: tuple[Picture, ...]


class _Said(msgspec.Struct, frozen=True):
    state: RangeState | None
    state_at: datetime | None


class _OfLot(_Said, frozen=True):
    expires_on: date | None
    region: str | None


class _OfKey(_Said, frozen=True):
    compromised_at: datetime | None
    exports: list[UUID | None] | None


class _Row(msgspec.Struct, frozen=True):
    """The answer to one code. Bytes are in base64, as msgspec reads them."""

    settings: ItemSettings | None
    wrong_tries: int
    steps: list[TimelineStep] | None
    pictures: tuple[Picture, ...] | None
    time_zone: str | None
    product: Product | None
    range: CodeRange | None
    lot: _OfLot | None
    key: _OfKey | None
    item: ItemRecord | None
    claim: ClaimRecord | None


MOST_PICTURES: Final = 4
"""Pictures on the page behind a code: it is looked at on a phone, in a shop."""

_READ: Final = f"""
    SELECT json_build_object(
        'settings', s.own,
        'wrong_tries', (
            SELECT count(*) FROM (
                SELECT FROM refused_scan AS t
                WHERE t.device = decode(a.device, 'hex') AND t.at > %(oldest)s AND t.at <= %(newest)s
                    AND t.at > a.at - make_interval(mins => coalesce((s.own->>'bad_codes_minutes')::int, %(minutes)s))
                    AND t.at <= a.at
                LIMIT coalesce((s.own->>'bad_codes_per_device')::int, %(tries)s)) AS tried),
        'steps', CASE WHEN a.steps THEN ({STEPS_OF_ASKED}) END,
        'pictures', CASE WHEN a.steps THEN (
            SELECT json_agg(m) FROM (
                SELECT '/files/' || encode(f.sha256, 'hex') || '.webp' AS address, f.width, f.height, f.titles
                FROM product_media AS f
                WHERE f.gtin = a.gtin AND f.kind = 'picture' AND f.sha256 IS NOT NULL AND f.media_type = 'image/webp'
                ORDER BY f.place LIMIT {MOST_PICTURES}) AS m) END,
        'time_zone', (SELECT g.time_zone FROM programme AS g WHERE g.id = a.programme),
        'product', (SELECT row_to_json(p) FROM product AS p WHERE p.gtin = a.gtin AND p.programme_id = a.programme),
        'range', row_to_json(r),
        'lot', (SELECT row_to_json(l) FROM lot AS l WHERE l.gtin = a.gtin AND l.code = r.lot),
        'key', (
            SELECT json_build_object(
                'state', k.state, 'state_at', k.state_at, 'compromised_at', k.compromised_at,
                'exports', CASE WHEN k.compromised_at IS NOT NULL THEN (
                    -- the files that the code was handed out in before; null for one without a list of its codes
                    SELECT json_agg(CASE WHEN e.codes_sha256 IS NOT NULL THEN e.id END) FROM code_export AS e
                    WHERE e.gtin = a.gtin AND e.kid = a.kid AND e.lo <= a.index AND e.hi >= a.index
                        AND e.handed_out_at <= k.compromised_at) END)
            FROM code_key AS k WHERE k.programme_id = a.programme AND k.kid = a.kid),
        'item', (
            SELECT json_build_object(
                'state', i.state, 'scan_count', i.scan_count, 'first_scanned_at', i.first_scanned_at,
                'first_device', encode(i.first_device, 'base64'), 'first_member_id', i.first_member_id,
                'first_city', i.first_city, 'suspected_at', i.suspected_at, 'cleared_at', i.cleared_at,
                'pin_failures', i.pin_failures, 'exempt_at', i.exempt_at)
            FROM item AS i WHERE i.gtin = a.gtin AND i.kid = a.kid AND i.index = a.index),
        'claim', (
            SELECT json_build_object(
                'member_id', c.member_id, 'device', encode(c.device, 'base64'), 'at', c.at, 'points', c.points)
            FROM item_claim AS c WHERE c.gtin = a.gtin AND c.kid = a.kid AND c.index = a.index)
    )::text
    FROM json_to_recordset(%(asked)s::json) AS a (
        o int, programme uuid, gtin text, kid smallint, index bigint, device text, at timestamptz, steps boolean,
        settings jsonb)
    CROSS JOIN LATERAL (
        SELECT coalesce(a.settings, (SELECT b.settings FROM item_settings AS b WHERE b.programme_id = a.programme))
    ) AS s (own)
    -- Ranges do not overlap: only the one that starts last at or before the index can hold it.
    LEFT JOIN LATERAL (
        SELECT * FROM code_range AS x WHERE x.gtin = a.gtin AND x.kid = a.kid AND x.lo <= a.index
        ORDER BY x.lo DESC LIMIT 1
    ) AS r ON true
    ORDER BY a.o
"""  # noqa: S608  (put together from constants)

_decoder: Final = msgspec.json.Decoder(_Row)


async def load_many(connection: AsyncConnection, wanted: Sequence[Wanted]) -> list[Loaded]:
    """Read many codes, and what holds for whoever asks about each; the answers are in the order of `wanted`."""
    if not wanted:
        return []
    asked = [
        {
            "o": place,
            "programme": one.programme_id,
            "gtin": one.code and one.code.gtin,
            "kid": one.code and one.code.kid,
            "index": one.code and one.code.index,
            "device": one.device and one.device.hex(),
            "at": one.at,
            "steps": one.for_page,
            "settings": one.settings,
        }
        for place, one in enumerate(wanted)
    ]
    moments = [one.at for one in wanted]
    values = {
        "asked": msgspec.json.encode(asked).decode(),
        # Bounds that are known before the statement runs, so that partitions of other months are not even opened.
        "oldest": min(moments) - timedelta(minutes=LONGEST_MINUTES),
        "newest": max(moments),
        "minutes": DEFAULT_SETTINGS.bad_codes_minutes,
        "tries": DEFAULT_SETTINGS.bad_codes_per_device,
    }
    rows = await fetch(connection, _READ, values)
    return [_loaded(one, _decoder.decode(row[0])) for one, row in zip(wanted, rows, strict=True)]


def _loaded(one: Wanted, row: _Row) -> Loaded:
    return Loaded(
        item="bad_serial" if one.code is None else _item(one.code, row),
        settings=row.settings or DEFAULT_SETTINGS,
        wrong_tries=row.wrong_tries,
        steps=row.steps or [],
        pictures=row.pictures or (),
    )


def _item(code: ItemCode, row: _Row) -> Item | UnknownReason:
    code_range, lot, key = row.range, row.lot, row.key
    if row.product is None:
        return "unknown_product"
    if code_range is None or code_range.hi < code.index:
        return "not_minted"
    record = row.item or ItemRecord()
    if record.state == "honey" or code_range.honey_export_id is not None:
        return "honey"
    leaked = key is not None and key.compromised_at is not None
    exports = key.exports if key is not None else None
    if leaked and exports is None:
        return "not_handed_out"
    if lot is not None and (code_range.expires_on is None or code_range.region is None):
        code_range = msgspec.structs.replace(
            code_range,
            expires_on=code_range.expires_on or lot.expires_on,
            region=code_range.region if code_range.region is not None else lot.region,
        )
    return Item(
        code=code,
        product=row.product,
        time_zone=row.time_zone or "UTC",
        range=code_range,
        record=record,
        claim=row.claim,
        lot=_word(lot),
        key=_word(key),
        listed_in=() if exports is None or None in exports else tuple(each for each in exports if each is not None),
    )


def _word(said: _Said | None) -> Word | None:
    return None if said is None or said.state is None or said.state_at is None else Word(said.state, said.state_at)
