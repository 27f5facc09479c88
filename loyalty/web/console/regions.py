"""What regions are called. A code that we have no name for stays as it is."""

from __future__ import annotations

from loyalty.web.i18n import Translator, catalogue


def region_name(t: Translator, code: str | None) -> str:
    """The name of an ISO 3166 code, of a country or of a part of one; empty where it is not known."""
    name = (code or "").lower().replace("-", "_")
    return t(f"regions.{name}") if f"regions.{name}" in catalogue(t.language) else code or ""
