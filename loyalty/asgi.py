"""The application for an ASGI server: `uvicorn --factory loyalty.asgi:application`, or `tallystar serve`."""

from __future__ import annotations

from litestar import Litestar

from loyalty.settings import Settings
from loyalty.web.app import create_app


def application() -> Litestar:
    """Build the application from the environment; see `loyalty.settings`."""
    return create_app(Settings.from_environment())
