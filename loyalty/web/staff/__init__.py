"""The brand's own people: signing in, and the way to their work at the till or in the console."""

from __future__ import annotations

from litestar import Router

from loyalty.web.staff import camera, sign_in

router = Router(
    path="/",
    route_handlers=[
        sign_in.begin_work,
        sign_in.ask_password,
        sign_in.check_password,
        sign_in.sign_out,
        camera.read_picture,
    ],
    include_in_schema=False,
)
