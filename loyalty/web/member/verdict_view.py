"""How a verdict is shown: tone, icon, and what its sentences are filled in with. Pure.

The words are in `i18n/*/item.toml`, under the verdict's kind. An owner of a genuine item is never frightened: only a
recall is urgent, and only a code that is not ours or looks copied is grave.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from loyalty.items.verdicts import Verdict, VerdictKind
from loyalty.web.i18n import Formats

Tone = Literal["good", "caution", "bad", "info"]

_TONES: Final[Mapping[VerdictKind, Tone]] = {
    "first_scan": "good",
    "seen_by_you": "good",
    "seen_before": "info",
    "amber": "caution",
    "suspected_copy": "caution",
    "not_activated": "info",
    "recalled": "bad",
    "expired": "caution",
    "unknown": "bad",
}
_ICONS: Final[Mapping[VerdictKind, str]] = {
    "first_scan": "check",
    "seen_by_you": "check",
    "seen_before": "eye",
    "amber": "eye",
    "suspected_copy": "alert",
    "not_activated": "clock",
    "recalled": "recall",
    "expired": "clock",
    "unknown": "question",
}


class VerdictView(msgspec.Struct, frozen=True, kw_only=True):
    """What the item page shows of a verdict. `values` fill the placeholders of its texts."""

    kind: VerdictKind
    tone: Tone
    icon: str
    values: dict[str, str | int]


def view_verdict(verdict: Verdict, format: Formats) -> VerdictView:  # noqa: A002  (its name in templates)
    """Prepare a verdict for the page. `n` is other phones where it is about those, else the scans before this one."""
    expires_on = verdict.item.range.expires_on if verdict.item else None
    return VerdictView(
        kind=verdict.kind,
        tone=_TONES[verdict.kind],
        icon=_ICONS[verdict.kind],
        values={
            "n": verdict.recent_devices if verdict.kind == "amber" else max(verdict.scan_count - 1, 0),
            "since": format.moment(verdict.yours_since) if verdict.yours_since else "",
            "first": format.moment(verdict.first_scanned_at) if verdict.first_scanned_at else "",
            "expires": format.day(expires_on) if expires_on else "",
        },
    )
