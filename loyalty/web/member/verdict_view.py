"""How a verdict is shown: tone, icon, and what its sentences are filled in with. Pure.

The words are in `i18n/*/item.toml`, under the verdict's kind. Only `seen_by_you` has two sets: whoever scanned an item
before everybody else, or claimed it, is told again that it is genuine; whoever came later is reminded that others came
first, so that scanning twice proves nothing. An owner of a genuine item is never frightened: only a recall is urgent,
and only a code that is not ours or looks copied is grave.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from loyalty.items.verdicts import Verdict, VerdictKind
from loyalty.web.i18n import Formats
from loyalty.web.shapes import slot

Tone = Literal["good", "caution", "bad", "info"]
Words = VerdictKind | Literal["seen_by_you_later", "retired"]
"""Sets of texts: one for each verdict, and two for what a verdict says to some. A code that was taken out of use is not
on sale, but will never be, and says so."""

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
    """What the item page shows of a verdict: `words` names its texts, `values` fill their placeholders.

    `alone` says that the number in them is one, which some languages write differently.
    """

    words: Words
    tone: Tone
    icon: str
    alone: bool
    expires: str

    @property
    def values(self) -> dict[str, str | int]:
        """What its sentences are filled in with; an item's number and times are slots (see `loyalty.web.shapes`)."""
        own = {name: slot(name) for name in ("n", "since", "first")}
        return {**own, "count": 1 if self.alone else 2, "expires": self.expires}


def view_verdict(verdict: Verdict, format: Formats) -> VerdictView:  # noqa: A002  (its name in templates)
    """Prepare a verdict for the page."""
    expires_on = verdict.item.range.expires_on if verdict.item else None
    words: Words = verdict.kind
    if verdict.kind == "seen_by_you" and not _was_first(verdict):
        words = "seen_by_you_later"
    elif verdict.kind == "not_activated" and verdict.claim_blocker == "retired":
        words = "retired"
    looks: VerdictKind = "seen_before" if words == "seen_by_you_later" else verdict.kind
    return VerdictView(
        words=words,
        tone=_TONES[looks],
        icon="info" if words == "retired" else _ICONS[looks],
        alone=number_of(verdict) == 1,
        expires=format.day(expires_on) if expires_on and verdict.kind == "expired" else "",
    )


def number_of(verdict: Verdict) -> int:
    """The phones where a verdict is about those, else the scans before this one."""
    return verdict.recent_devices if verdict.kind == "amber" else max(verdict.scan_count - 1, 0)


def _was_first(verdict: Verdict) -> bool:
    """Whether the visitor is the one whose item this must be: the first to scan it, or the one who claimed it."""
    if verdict.claim_blocker == "claimed_by_you":
        return True
    first, yours = verdict.first_scanned_at, verdict.yours_since
    return first is not None and yours is not None and yours <= first
