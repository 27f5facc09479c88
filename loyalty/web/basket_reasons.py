"""Why a coupon or points do not apply to a basket, in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from loyalty.web.i18n import Formats, Translator
from redemption.basket import Reason


def reason_sentence(
    t: Translator, formats: Formats, reason: Reason, *, currency: str, coupon_names: Mapping[str, str] | None = None
) -> str:
    """The reason as a sentence. `coupon_names` has names of coupons by reference; one that is not there is its own."""
    values: dict[str, str | int] = {}
    for name, value in reason.parameters.items():
        if name.endswith("_minor") and isinstance(value, int):
            values[name] = formats.money(value, currency)
        elif name.endswith("_bp") and isinstance(value, int):
            values[name] = formats.percent(value)
        elif name == "reference":
            values["coupon"] = (coupon_names or {}).get(str(value), str(value))
        elif name in ("valid_from", "expired_at"):
            values[name] = formats.moment(datetime.fromisoformat(str(value)))
        else:
            values[name] = value
    return t(f"basket.reason.{reason.code}", **values)
