"""The evidence of an alert as one file that can be handed to a lawyer: tables, what they mean, and their hashes.

A ZIP archive with `README.txt` in Chinese and English, `manifest.json` (the SHA-256 of each file), `alert.json` and a
CSV for each record concerned. Equal records make equal bytes but for the moment of taking, so that the SHA-256 that is
written into the alert's history says which copy somebody holds. No person's data is in it: phones are hashes.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

import msgspec
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.items.code_tables import code_export_table
from loyalty.items.codes import ItemCode
from loyalty.items.exports import Export, export_from_row
from loyalty.items.handing_out import DownloadRecord, list_downloads
from loyalty.items.keys import MasterKeys
from loyalty.items.leaks import list_leaks
from loyalty.items.lookup import find_serial
from loyalty.items.ranges import CodeRange, range_from_row
from loyalty.items.trace.alerts import Alert, AlertEvent, alert_history
from loyalty.items.trace.sightings import (
    MOST_SCANS,
    LoggedScan,
    Refusal,
    find_leaps,
    refusals_of_alert,
    scans_of_alert,
)
from loyalty.kit.cells import plain_cell

_SAME_DATE: Final = (1980, 1, 1, 0, 0, 0)
"""What a ZIP says of each file's date where nothing else is to be said."""
_MOST_RANGES: Final = 1000


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """The archive, and the SHA-256 of it."""

    name: str
    content: bytes
    sha256: str


class Records(msgspec.Struct, frozen=True, kw_only=True):
    """What evidence is made of: everything read in one transaction. `serials` are those of the scanned items."""

    alert: Alert
    history: list[AlertEvent]
    scans: list[LoggedScan]
    refusals: list[Refusal]
    ranges: list[CodeRange]
    exports: list[Export]
    downloads: list[DownloadRecord]
    serials: dict[ItemCode, str]

    def serial(self, scan: LoggedScan) -> str:
        """The serial of the item that was scanned."""
        return self.serials[ItemCode(scan.gtin, scan.kid, scan.index)]


_RANGES: Final = text("""
    SELECT DISTINCT ON (r.gtin, r.kid, r.lo) r.*
    FROM unnest(CAST(:gtins AS text[]), CAST(:kids AS smallint[]), CAST(:indexes AS bigint[])) AS i (gtin, kid, index)
    CROSS JOIN LATERAL (
        SELECT * FROM code_range AS c WHERE c.gtin = i.gtin AND c.kid = i.kid AND c.lo <= i.index
        ORDER BY c.lo DESC LIMIT 1
    ) AS r
    WHERE r.programme_id = :programme AND r.hi >= i.index
    ORDER BY r.gtin, r.kid, r.lo LIMIT :most
""")


async def read_records(
    connection: AsyncConnection, keys: MasterKeys, alert: Alert, *, limit: int = MOST_SCANS
) -> Records:
    """Read everything that an alert is made of, and the print orders and files that it leads to.

    Of scans and refused tries the newest, `limit` of each.
    """
    about = alert.about
    leaked: list[tuple[str, str]] = []
    if alert.kind == "honey_leak":
        leaks = await list_leaks(connection, keys, programme_id=alert.programme_id, since=alert.first_at)
        leaked = [
            (leak.gtin, leak.serial)
            for leak in leaks
            if about.export_id is not None and about.export_id in {source.export.id for source in leak.sources}
        ]
    scans = await scans_of_alert(connection, alert, limit=limit)
    codes = list(dict.fromkeys(ItemCode(scan.gtin, scan.kid, scan.index) for scan in scans))
    ranges = await _ranges(connection, alert, codes)
    exports = await _exports(connection, alert, ranges)
    return Records(
        alert=alert,
        history=await alert_history(connection, alert),
        scans=scans,
        refusals=await refusals_of_alert(connection, alert, codes=leaked, limit=limit),
        ranges=ranges,
        exports=exports,
        downloads=await list_downloads(connection, export_ids=[export.id for export in exports]),
        serials={code: await find_serial(connection, keys, code) for code in codes},
    )


async def _ranges(connection: AsyncConnection, alert: Alert, codes: Sequence[ItemCode]) -> list[CodeRange]:
    values = {
        "gtins": [code.gtin for code in codes],
        "kids": [code.kid for code in codes],
        "indexes": [code.index for code in codes],
        "programme": alert.programme_id,
        "most": _MOST_RANGES,
    }
    return [range_from_row(row) for row in (await connection.execute(_RANGES, values)).mappings()]


async def _exports(connection: AsyncConnection, alert: Alert, ranges: Sequence[CodeRange]) -> list[Export]:
    export = code_export_table.c
    asked = {each.origin_id for each in ranges} | {each.id for each in ranges}
    query = select(code_export_table).where(
        export.programme_id == alert.programme_id,
        (export.id == alert.about.export_id) | export.range_id.in_(asked),
    )
    rows = (await connection.execute(query.order_by(export.id).limit(_MOST_RANGES))).mappings()
    return [export_from_row(row) for row in rows]


def pack_evidence(records: Records, *, taken_at: datetime, taken_by: str) -> Evidence:
    """Write the archive. Pure, and slow for large alerts: call it in a thread."""
    files = {
        "README.txt": _README.encode(),
        "alert.json": _json(_alert(records.alert)),
        "scans.csv": _scans(records),
        "refused.csv": _rows(Refusal, records.refusals),
        "leaps.csv": _leaps(records) if records.alert.kind == "suspected_copy" else None,
        "ranges.csv": _ranges_csv(records.ranges),
        "files_for_printers.csv": _exports_csv(records.exports),
        "fetchings.csv": _rows(DownloadRecord, records.downloads),
        "history.csv": _rows(AlertEvent, records.history),
    }
    kept = {name: content for name, content in files.items() if content is not None}
    manifest = {
        "alert": records.alert.public_id,
        "taken_at": _written(taken_at),
        "taken_by": taken_by,
        "complete": len(records.scans) < MOST_SCANS and len(records.refusals) < MOST_SCANS,
        "files": [
            {"name": name, "bytes": len(content), "sha256": sha256(content).hexdigest()}
            for name, content in kept.items()
        ],
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {"manifest.json": _json(manifest), **kept}.items():
            entry = zipfile.ZipInfo(name, _SAME_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    content = buffer.getvalue()
    return Evidence(name=f"{records.alert.public_id}.zip", content=content, sha256=sha256(content).hexdigest())


def _alert(alert: Alert) -> dict[str, Any]:
    told = {name: getattr(alert, name) for name in Alert.__struct_fields__ if name not in ("id", "programme_id")}
    return {"id": alert.public_id, **told}


def _scans(records: Records) -> bytes:
    names = ("gtin", "serial", *(name for name in LoggedScan.__struct_fields__ if name != "gtin"))
    return _csv(
        names,
        (
            {
                **msgspec.structs.asdict(scan),
                "serial": records.serial(scan),
            }
            for scan in records.scans
        ),
    )


def _leaps(records: Records) -> bytes:
    names = ("from_at", "from_city", "from_device", "to_at", "to_city", "to_device")
    return _csv(
        (*names, "distance_km", "minutes", "speed_kmh"),
        (
            {
                "from_at": leap.earlier.at,
                "from_city": leap.earlier.city,
                "from_device": leap.earlier.device,
                "to_at": leap.later.at,
                "to_city": leap.later.city,
                "to_device": leap.later.device,
                "distance_km": leap.distance_km,
                "minutes": leap.minutes,
                "speed_kmh": leap.speed_kmh,
            }
            for leap in find_leaps(records.scans)
        ),
    )


def _ranges_csv(ranges: Iterable[CodeRange]) -> bytes:
    names = ("print_order", "gtin", "kid", "lo", "hi", "lot", "dealer", "region", "state", "state_at", "created_at")
    return _csv(("range", *names), ({"range": each.public_id, **msgspec.structs.asdict(each)} for each in ranges))


def _exports_csv(exports: Iterable[Export]) -> bytes:
    names = ("gtin", "kid", "lo", "hi", "contents", "lines", "state", "holder", "size", "sha256", "codes_sha256")
    more = ("created_at", "created_by", "handed_out_at", "completed_at")
    return _csv(("file", *names, *more), ({"file": each.public_id, **msgspec.structs.asdict(each)} for each in exports))


def _rows(kind: type[msgspec.Struct], rows: Iterable[msgspec.Struct]) -> bytes:
    return _csv(kind.__struct_fields__, (msgspec.structs.asdict(row) for row in rows))


def _csv(names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    """A CSV with a byte order mark, which spreadsheets need to read Chinese."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(names)
    for row in rows:
        writer.writerow([_written(row[name]) for name in names])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def _written(value: Any) -> Any:
    """A value as a cell: moments in UTC, bytes as hexadecimal, and nothing that a spreadsheet takes for a formula."""
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        case bytes():
            return value.hex()
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case str():
            return plain_cell(value)
        case _:
            return value


def _json(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


_README: Final = """\
这是一条警报的证据 / This is the evidence of one alert
======================================================

manifest.json            各文件的 SHA-256，取证的时间和经手人
                         The SHA-256 of each file, when it was taken and by whom.
alert.json               警报本身
                         The alert.
scans.csv                真码的扫描记录：时间、地点、当时的答复；device 是手机的哈希值，不是个人信息
                         Scans of true codes: when, where, what was answered. "device" is a hash that stands for a
                         phone; it names no person.
leaps.csv                同一个码相邻两次扫描的距离和所需速度
                         Scans of one code that follow each other: how far apart, and how fast it had to travel.
refused.csv              不属于本品牌的码（或专门设置的探测码）的扫描记录
                         Tries of codes that are not the brand's, or that are out to catch a leak.
ranges.csv               有关商品的印制订单、批次、经销商和销售区域
                         The print orders, lots, dealers and regions of sale of the goods concerned.
files_for_printers.csv   交给印刷厂的文件及其 SHA-256
                         Files of codes that were made for printers, and their SHA-256.
fetchings.csv            谁在何时下载过这些文件
                         Who fetched these files, and when.
history.csv              对这条警报做过的处理
                         What was done about the alert.

所有时间均为 UTC。压缩包本身的 SHA-256 记录在系统的警报历史中；内容有任何改动，哈希值都会不同。
All times are UTC. The SHA-256 of this archive is recorded in the alert's history: any change of it changes the hash.
"""
