"""An export on its way to whoever fetches it: made piece by piece beside the event loop, and written down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

from loyalty.items.handing_out import Download, Stream, end_download
from loyalty.web.state import Services


async def pieces_of(services: Services, download: Download) -> AsyncIterator[bytes]:
    """The bytes of a download that has begun. Whether it ends or breaks off, that is written down."""
    stream = Stream(services.item_keys, download.export, first_byte=download.first_byte)
    pieces = iter(stream)
    try:
        while piece := await asyncio.to_thread(_next, pieces):
            yield piece
    finally:
        # The reader may be gone, and this task with it: what was sent is written down all the same.
        await asyncio.shield(_end(services, download, stream))


def _next(pieces: Iterator[memoryview]) -> bytes:
    return bytes(next(pieces, b""))


async def _end(services: Services, download: Download, stream: Stream) -> None:
    async with services.transaction() as connection:
        await end_download(connection, download, stream)
