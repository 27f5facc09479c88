"""The embedded database: PostgreSQL from a Python wheel's binaries, behind a small supervisor of our own.

Why it is as it is: `docs/decisions/embedded-database.md`.
"""

from loyalty.kit.embedded.programs import binaries
from loyalty.kit.embedded.shared import EmbeddedPostgres, ServerStatus

__all__ = ["EmbeddedPostgres", "ServerStatus", "binaries"]
