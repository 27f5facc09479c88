"""The product, with one page more: `/empty`, HTML with nothing in it, by which its other pages are measured."""

from __future__ import annotations

import uvicorn
from litestar import Litestar, MediaType, get

from loyalty.asgi import application as product
from loyalty.settings import Settings

PATH = "/empty"


@get(PATH, media_type=MediaType.HTML, sync_to_thread=False)
def show_nothing() -> str:
    """The least that an HTML page can be."""
    return "<!doctype html><title></title>"


def application() -> Litestar:
    """The whole application, and that page."""
    app = product()
    app.register(show_nothing)
    return app


if __name__ == "__main__":
    uvicorn.run(
        f"{__spec__.name}:application" if __spec__ else "",
        factory=True,
        port=Settings.from_environment().port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
