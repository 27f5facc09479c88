"""Settings, all from the environment. `docs/settings.md` lists them; a test fails when it forgets one."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import msgspec

from loyalty.kit.errors import InvalidInputError


def _flag(environment: Mapping[str, str], name: str) -> bool:
    text = environment.get(name, "").strip().lower()
    if text in ("", "0", "false", "no", "off"):
        return False
    if text in ("1", "true", "yes", "on"):
        return True
    message = f"{text!r} is neither yes nor no"
    raise InvalidInputError(message, field=name)


def _number(environment: Mapping[str, str], name: str, default: int, *, low: int, high: int) -> int:
    text = environment.get(name, "").strip() or str(default)
    if not text.isdecimal() or not low <= int(text) <= high:
        message = f"{text!r} is not a whole number from {low} to {high}"
        raise InvalidInputError(message, field=name)
    return int(text)


def _scan_log_months(environment: Mapping[str, str]) -> int:
    months = _number(environment, "TALLYSTAR_SCAN_LOG_MONTHS", 24, low=0, high=1200)
    if months == 1:
        raise InvalidInputError(
            "verdicts look back at scans: 0 for all, or at least 2", field="TALLYSTAR_SCAN_LOG_MONTHS"
        )
    return months


def _header(environment: Mapping[str, str], name: str) -> str | None:
    text = environment.get(name, "").strip()
    if text and not re.fullmatch(r"[A-Za-z0-9-]+", text):
        message = f"{text!r} is not the name of a header"
        raise InvalidInputError(message, field=name)
    return text or None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What an installation may choose. Every field has a default that works on one machine."""

    home: Path
    """TALLYSTAR_HOME: the folder for the embedded database and the keys. Default: `.tallystar`."""
    database_url: str | None = None
    """DATABASE_URL: a PostgreSQL of your own. Default: the embedded server in `home`."""
    owner_database_url: str | None = None
    """TALLYSTAR_OWNER_DATABASE_URL: the same database as its owner, for migrations; DATABASE_URL is the application's
    then."""
    host: str = "127.0.0.1"
    """TALLYSTAR_HOST: the address to listen on."""
    port: int = 8420
    """TALLYSTAR_PORT: the port to listen on."""
    public_url: str = "http://127.0.0.1:8420"
    """TALLYSTAR_PUBLIC_URL: how shoppers reach this server; printed into item codes. No slash at the end."""
    programme: str | None = None
    """TALLYSTAR_PROGRAMME: the code of the programme whose pages are shown. Default: the only one there is."""
    demo: bool = False
    """TALLYSTAR_DEMO: show one-time codes on the screen instead of sending them. Never set it for real members."""
    sms_webhook_url: str | None = None
    """TALLYSTAR_SMS_WEBHOOK_URL: where one-time codes are posted to be sent as text messages."""
    sms_webhook_secret: str | None = None
    """TALLYSTAR_SMS_WEBHOOK_SECRET: signs those posts (Standard Webhooks, `whsec_...`)."""
    http_links: bool = False
    """TALLYSTAR_HTTP_LINKS: let links of products lead to http:// addresses too. Default: https:// alone."""
    epcis_capture_events: int = 20_000
    """TALLYSTAR_EPCIS_CAPTURE_EVENTS: the most events of one document that is captured."""
    epcis_capture_bytes: int = 100_000_000
    """TALLYSTAR_EPCIS_CAPTURE_BYTES: the most bytes of one document that is captured."""
    scan_log_months: int = 24
    """TALLYSTAR_SCAN_LOG_MONTHS: how many past months single scans are kept; 0 keeps them all."""
    region_header: str | None = None
    """TALLYSTAR_REGION_HEADER: the header in which your proxy says where a visitor is, by ISO 3166 (`CF-IPCountry`)."""
    city_header: str | None = None
    """TALLYSTAR_CITY_HEADER: the header in which your proxy says in which city a visitor is."""
    workers: int = 1
    """TALLYSTAR_WORKERS: web processes; they hold no state, so use as many as there are cores."""
    seals_folder: Path | None = None
    """TALLYSTAR_SEALS: the folder, or mounted bucket, of the ledger's seals. Default: `seals` in `home`."""
    seal_minutes: int = 60
    """TALLYSTAR_SEAL_MINUTES: how often the ledger is sealed."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read the environment. Raises InvalidInputError naming the variable that is wrong."""
        env = os.environ if environment is None else environment
        port = _number(env, "TALLYSTAR_PORT", 8420, low=1, high=65535)
        host = env.get("TALLYSTAR_HOST", "").strip() or "127.0.0.1"
        public_url = env.get("TALLYSTAR_PUBLIC_URL", "").strip().rstrip("/") or f"http://{host}:{port}"
        database_url = env.get("DATABASE_URL", "").strip() or None
        owner_database_url = env.get("TALLYSTAR_OWNER_DATABASE_URL", "").strip() or None
        if owner_database_url is not None and database_url is None:
            message = "is the owner's address; DATABASE_URL has to be the application's"
            raise InvalidInputError(message, field="TALLYSTAR_OWNER_DATABASE_URL")
        if not public_url.startswith(("http://", "https://")):
            message = f"{public_url!r} does not start with http:// or https://"
            raise InvalidInputError(message, field="TALLYSTAR_PUBLIC_URL")
        seals = env.get("TALLYSTAR_SEALS", "").strip()
        return cls(
            home=Path(env.get("TALLYSTAR_HOME", "").strip() or ".tallystar").expanduser().absolute(),
            database_url=database_url,
            owner_database_url=owner_database_url,
            host=host,
            port=port,
            public_url=public_url,
            programme=env.get("TALLYSTAR_PROGRAMME", "").strip() or None,
            demo=_flag(env, "TALLYSTAR_DEMO"),
            sms_webhook_url=env.get("TALLYSTAR_SMS_WEBHOOK_URL", "").strip() or None,
            sms_webhook_secret=env.get("TALLYSTAR_SMS_WEBHOOK_SECRET", "").strip() or None,
            http_links=_flag(env, "TALLYSTAR_HTTP_LINKS"),
            epcis_capture_events=_number(env, "TALLYSTAR_EPCIS_CAPTURE_EVENTS", 20_000, low=1, high=1_000_000),
            epcis_capture_bytes=_number(env, "TALLYSTAR_EPCIS_CAPTURE_BYTES", 100_000_000, low=1000, high=10**10),
            scan_log_months=_scan_log_months(env),
            region_header=_header(env, "TALLYSTAR_REGION_HEADER"),
            city_header=_header(env, "TALLYSTAR_CITY_HEADER"),
            workers=_number(env, "TALLYSTAR_WORKERS", 1, low=1, high=64),
            seals_folder=Path(seals).expanduser().absolute() if seals else None,
            seal_minutes=_number(env, "TALLYSTAR_SEAL_MINUTES", 60, low=5, high=1440),
        )

    @property
    def keys(self) -> Path:
        """The folder of the key files. Back it up apart from the database: each is useless without the other."""
        return self.home / "keys"

    @property
    def seals(self) -> Path:
        """The folder of the ledger's seals. It is evidence only where whoever owns the database cannot change it."""
        return self.seals_folder or self.home / "seals"

    def session_secret(self) -> bytes:
        """The 32 bytes that sign sessions and member QR codes; made at first use, readable by the owner alone."""
        path = self.keys / "session.key"
        self.keys.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            secret = path.read_bytes()
        else:
            secret = secrets.token_bytes(32)
            with os.fdopen(descriptor, "wb") as file:
                file.write(secret)
        if len(secret) != 32:  # noqa: PLR2004  (the length of a key, said in the docstring)
            message = f"{path} does not hold 32 bytes; restore it from a backup, or remove it to sign everybody out"
            raise InvalidInputError(message, field="session.key")
        return secret
