"""The rotating code on a member's card: whoever shows it has the card open now, not a photograph of it.

    M | member id (26) | step (1) | tag (12)      40 characters of QR's alphanumeric set

The step is the minute the code was made in; the tag is the top 60 bits of HMAC-SHA256 over member and step. A till
accepts the present minute and one on either side, so a code holds for at least 60 seconds and at most 120, and servers
whose clocks differ a little agree. Nothing is stored.
"""

from __future__ import annotations

import hmac
from datetime import datetime
from typing import Final
from uuid import UUID

from loyalty.kit.errors import InvalidInputError
from loyalty.kit.ids import decode_base32, encode_base32

STEP_SECONDS: Final = 60
"""How long a code is shown before the next one takes its place."""

TOKEN_LENGTH: Final = 40

_MARK: Final = "M"
_ID_LENGTH: Final = 26
_TAG_LENGTH: Final = 12
_STEPS_TOLD_APART: Final = 32
_LEEWAY_STEPS: Final = (0, -1, 1)


def issue_token(secret: bytes, member_id: UUID, now: datetime) -> str:
    """The code a member's card shows at `now`, which is aware. `secret` is the installation's, at least 32 bytes."""
    step = _step(now)
    name = encode_base32(member_id.int, _ID_LENGTH)
    return f"{_MARK}{name}{encode_base32(step % _STEPS_TOLD_APART, 1)}{_tag(secret, member_id, step)}"


def read_token(secret: bytes, text: str, now: datetime) -> UUID:
    """The member whose card shows `text` at `now`. Case, and `O`, `I`, `L` for `0`, `1`, `1`, do not matter.

    Raises InvalidInputError (token): it is not such a code, was not made here, or has run out.
    """
    code = text.strip().upper()
    if not looks_like_token(code):
        raise InvalidInputError("this is not a member code", field="token")
    try:
        identifier = decode_base32(code[1 : 1 + _ID_LENGTH])
        shown_step = decode_base32(code[1 + _ID_LENGTH])
        tag = encode_base32(decode_base32(code[-_TAG_LENGTH:]), _TAG_LENGTH)
    except ValueError as error:
        raise InvalidInputError("this is not a member code", field="token") from error
    if identifier >> 128:
        raise InvalidInputError("this is not a member code", field="token")
    member_id, present = UUID(int=identifier), _step(now)
    # The last step at or before the next minute that the code could have been made in.
    made = present + 1 - (present + 1 - shown_step) % _STEPS_TOLD_APART
    if not hmac.compare_digest(_tag(secret, member_id, made), tag):
        raise InvalidInputError("this member code was not made here or is too old", field="token")
    if made - present not in _LEEWAY_STEPS:
        raise InvalidInputError("this member code has run out; show the card again", field="token")
    return member_id


def looks_like_token(text: str) -> bool:
    """Whether a scanned text has the shape of a member code, so that a till knows what it was given."""
    return len(text) == TOKEN_LENGTH and text[:1].upper() == _MARK and text.isascii() and text.isalnum()


def seconds_left(now: datetime) -> int:
    """How many seconds the code issued at `now` is shown before the next: from 60 down to 1."""
    return STEP_SECONDS - int(now.timestamp()) % STEP_SECONDS


def _step(now: datetime) -> int:
    return int(now.timestamp()) // STEP_SECONDS


def _tag(secret: bytes, member_id: UUID, step: int) -> str:
    message = b"tallystar/member-card/1" + member_id.bytes + step.to_bytes(8)
    top_60_bits = int.from_bytes(hmac.digest(secret, message, "sha256")[:8]) >> 4
    return encode_base32(top_60_bits, _TAG_LENGTH)
