"""Numbers, money, days and times as a reader of Chinese or English writes them, in the programme's time zone."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from loyalty.kit.currency import minor_digits

_MINUS: Final = "\N{MINUS SIGN}"
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SYMBOLS: Final = {"CNY": "¥", "GBP": "£", "USD": "$", "EUR": "€", "HKD": "HK$", "SGD": "S$", "JPY": "JP¥", "KRW": "₩"}
_SYMBOLS_IN_CHINESE: Final = _SYMBOLS | {"USD": "US$"}


def format_number(number: int) -> str:
    """`-1234` as `−1,234`: both languages group by three with a comma."""
    return f"{_MINUS if number < 0 else ''}{abs(number):,}"


class Formats:
    """What templates call `format`: one language and one time zone."""

    def __init__(self, language: str, zone: ZoneInfo) -> None:
        self._chinese = language == "zh"
        self._zone = zone

    def number(self, number: int) -> str:
        """`1,234`, or `−1,234` with a real minus sign."""
        return format_number(number)

    def signed(self, number: int) -> str:
        """`+120`, `−40` or `0`: a change, its direction never left to colour alone."""
        return f"+{number:,}" if number > 0 else format_number(number)

    def percent(self, rate_bp: int) -> str:
        """Basis points as per cent: 1250 is `12.5%`, 1000 is `10%`."""
        return f"{format_number(rate_bp // 100)}%" if rate_bp % 100 == 0 else f"{rate_bp / 100:.4g}%"

    def money(self, amount_minor: int, currency: str) -> str:
        """Minor units of an ISO 4217 currency: `¥1,234.50`, `−£3.00`; a currency with no sign of ours is named."""
        digits = minor_digits(currency)
        whole, part = divmod(abs(amount_minor), 10**digits)
        symbol = (_SYMBOLS_IN_CHINESE if self._chinese else _SYMBOLS).get(currency, f"{currency}\N{NO-BREAK SPACE}")
        sign = _MINUS if amount_minor < 0 else ""
        return f"{sign}{symbol}{whole:,}" + (f".{part:0{digits}d}" if digits else "")

    def day(self, moment: datetime | date) -> str:
        """`22 Nov 2026`, or `2026年11月22日`."""
        day = self._local(moment)
        if self._chinese:
            return f"{day.year}年{day.month}月{day.day}日"
        return f"{day.day}\N{NO-BREAK SPACE}{_MONTHS[day.month - 1]}\N{NO-BREAK SPACE}{day.year}"

    def last_day(self, end: datetime) -> str:
        """The last day before a moment at which something is over: what ends at midnight was good the day before."""
        return self.day(end - timedelta(microseconds=1))

    def month(self, moment: datetime | date) -> str:
        """`Nov 2026`, or `2026年11月`."""
        day = self._local(moment)
        return f"{day.year}年{day.month}月" if self._chinese else f"{_MONTHS[day.month - 1]} {day.year}"

    def short_day(self, day: date) -> str:
        """`22 Nov`, or `11/22`: the axis of a chart."""
        if self._chinese:
            return f"{day.month}/{day.day}"
        return f"{day.day}\N{NO-BREAK SPACE}{_MONTHS[day.month - 1]}"

    def short_month(self, moment: datetime | date) -> str:
        """`Nov`, or `11月`: the axis of a chart."""
        day = self._local(moment)
        return f"{day.month}月" if self._chinese else _MONTHS[day.month - 1]

    def clock(self, moment: datetime) -> str:
        """`16:54`, in the programme's time zone."""
        local = moment.astimezone(self._zone)
        return f"{local.hour:02}:{local.minute:02}"

    def moment(self, moment: datetime) -> str:
        """`22 Nov 2026, 16:54`, or `2026年11月22日 16:54`."""
        return f"{self.day(moment)}{' ' if self._chinese else ', '}{self.clock(moment)}"

    def iso(self, moment: datetime | date) -> str:
        """For the `datetime` attribute of `<time>`."""
        return moment.isoformat(timespec="seconds") if isinstance(moment, datetime) else moment.isoformat()

    def _local(self, moment: datetime | date) -> date:
        return moment.astimezone(self._zone).date() if isinstance(moment, datetime) else moment
