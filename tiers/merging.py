"""Merging members: what the absorbed member did counts for the survivor, and can be given back."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection


async def move_activity(
    connection: AsyncConnection, *, programme_id: UUID, survivor_id: UUID, absorbed_id: UUID, moment: datetime
) -> None:
    """Let the survivor's tiers count what both did. The better of both tiers is kept, then evaluated at once.

    The absorbed member's tier history stays where it is; nothing is deleted from it. Raises ConflictError where these
    two are merged already.
    """
    raise NotImplementedError


async def return_activity(
    connection: AsyncConnection, *, programme_id: UUID, survivor_id: UUID, absorbed_id: UUID, moment: datetime
) -> None:
    """Undo `move_activity`: each has again what was moved, and what the survivor did since stays the survivor's.

    The absorbed member is back in the former tier. The survivor goes back too where no change came after the merge;
    otherwise the tier stays until its review. Raises NotFoundError where these two are not merged.
    """
    raise NotImplementedError
