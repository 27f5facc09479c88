"""The application for an ASGI server: `uvicorn --factory loyalty.asgi:application`, or `tallystar serve`."""

from __future__ import annotations

import gc
from typing import Final

from litestar import Litestar

from loyalty.settings import Settings
from loyalty.web.app import create_app

GARBAGE_AT: Final = (20_000, 10, 50)
"""How many new objects, younger and middle collections lead to the next collection. With Python's own first figure,
700, collecting took 63 % of the process's time while thirty-two connections posted."""


def application() -> Litestar:
    """Build the application from the environment; see `loyalty.settings`.

    What is there by then stays for as long as the process, so no collection of garbage looks through it again.
    """
    app = create_app(Settings.from_environment())
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_AT)
    return app
