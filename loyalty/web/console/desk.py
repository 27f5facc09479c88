"""What every page of the console has in common: who reads it, in which words, and how it is drawn."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.ids import new_id
from loyalty.kit.programme import Channel, list_channels
from loyalty.web.console.sections import GROUPS, Section, group_of, section_path
from loyalty.web.i18n import Formats, Translator
from loyalty.web.member.join import CHANNEL_CODE as OWN_PAGES
from loyalty.web.rendering import language_of, page
from loyalty.web.staff.person import Desk


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """What channels are called. The shopper's own pages, where people join too, are none and have a name as well."""

    channels: list[Channel]
    own_pages: str

    def name(self, key: UUID | str) -> str:
        """A channel's name by id or code, or by a source such as `channel:online`; what is unknown stays as it is."""
        code = key.partition(":")[2] or key if isinstance(key, str) else key
        if code == OWN_PAGES:
            return self.own_pages
        return next((channel.name for channel in self.channels if code in (channel.id, channel.code)), str(key))

    @property
    def by_code(self) -> dict[str, str]:
        """The names of channels by their codes."""
        return {channel.code: channel.name for channel in self.channels}


async def read_places(connection: AsyncConnection, desk: Desk, t: Translator) -> Places:
    """The programme's channels and their names."""
    return Places(
        channels=await list_channels(connection, desk.programme.id), own_pages=t("console.channels.own_pages")
    )


def form_key() -> str:
    """A key for one form, so that sending the form twice does its work once."""
    return f"console:{new_id()}"


def words(request: Request[Any, Any, Any], desk: Desk) -> tuple[Translator, Formats]:
    """The words and formats of the reader."""
    language = language_of(request, default=desk.programme.locale)
    return Translator(language), Formats(language, desk.programme.zone)


def console_page(
    request: Request[Any, Any, Any],
    template: str,
    desk: Desk,
    *,
    section: Section,
    status_code: int = 200,
    here: str | None = None,
    **context: Any,
) -> Response[bytes]:
    """A page of the console. Never stored: it shows members' data."""
    return page(
        request,
        template,
        programme=desk.programme,
        status_code=status_code,
        private=True,
        here=here,
        desk=desk,
        section=section,
        groups=GROUPS,
        group=group_of(section),
        section_path=section_path,
        new_key=form_key,
        **context,
    )
