"""A camera that sees a code: the till finds the member, the console the item. What a camera cannot do is said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Final

import numpy as np
import pytest
import qrcode
from playwright.async_api import Browser, Page, async_playwright, expect
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.kit.clock import utc_now
from loyalty.kit.db import transaction
from loyalty.members.card_token import issue_token
from tests.e2e.conftest import CHROMIUM_ARGUMENTS, LiveShop, assert_well_made, chromium
from tests.e2e.staff import hire, regular, sign_in
from tests.e2e.test_shopper_journey import phone

pytestmark = pytest.mark.e2e

WIDTH, HEIGHT = 640, 480
_customers: Final = count(8801)


def film(path: Path, code: str) -> Path:
    """A second of a QR code held in front of a camera, as YUV4MPEG2: grey planes, and no colour."""
    drawn = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, box_size=6, border=4)
    drawn.add_data(code)
    symbol = np.array(drawn.make_image().get_image().convert("L"), dtype=np.uint8)
    picture = np.full((HEIGHT, WIDTH), 120, dtype=np.uint8)
    top, left = (HEIGHT - symbol.shape[0]) // 2, (WIDTH - symbol.shape[1]) // 2
    picture[top : top + symbol.shape[0], left : left + symbol.shape[1]] = 16 + symbol.astype(np.uint16) * 219 // 255
    colour = bytes([128]) * (WIDTH * HEIGHT // 2)
    frame = b"FRAME\n" + picture.tobytes() + colour
    path.write_bytes(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F10:1 Ip A1:1 C420jpeg\n".encode() + frame * 10)
    return path


@asynccontextmanager
async def camera_that_sees(video: Path) -> AsyncIterator[Browser]:
    """A browser whose only camera shows a film, and which lets every page use it."""
    path = chromium()
    if path is None:
        pytest.skip("no chromium is installed, so no page can be looked at")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path,
            args=[
                *CHROMIUM_ARGUMENTS,
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-video-capture={video}",
            ],
        )
        yield browser
        await browser.close()


async def test_the_till_finds_a_member_by_the_code_that_its_camera_sees(
    live_server: LiveShop, engine: AsyncEngine, tmp_path: Path
) -> None:
    await hire(engine, live_server)
    async with transaction(engine) as connection:
        member = await regular(connection, live_server, f"199 0000 {next(_customers)}", name="Yue Lin")
    token = issue_token(live_server.settings.session_secret(), member.id, utc_now())
    async with (
        camera_that_sees(film(tmp_path / "member.y4m", token)) as browser,
        phone(browser, live_server, width=1280, language="en") as page,
    ):
        await sign_in(page, "li.na")
        await page.get_by_role("button", name="Use the camera").click()
        await expect(page.locator("#amount")).to_be_focused(timeout=20_000)
        await expect(page.get_by_text("Yue Lin").first).to_be_visible()


async def test_the_console_finds_an_item_by_the_code_that_its_camera_sees(
    live_server: LiveShop, engine: AsyncEngine, tmp_path: Path, screenshots: Path
) -> None:
    await hire(engine, live_server)
    address = f"https://shanlan.example{live_server.item_path(3)}"
    async with (
        camera_that_sees(film(tmp_path / "item.y4m", address)) as browser,
        phone(browser, live_server, width=390, language="zh") as page,
    ):
        await sign_in(page, "chen.min")
        await page.goto("/console/packing")
        await assert_well_made(page, "packing-390", screenshots)
        await page.goto("/console/trace")
        await page.get_by_role("button", name="用摄像头扫码").click()
        await page.locator("dialog[open] video").screenshot(path=screenshots / "camera-390.png")
        await expect(page.get_by_role("main")).to_contain_text(live_server.serial(3), timeout=20_000)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("NotAllowedError", "The browser does not let this page use the camera."),
        ("NotFoundError", "No camera was found on this device."),
        ("NotReadableError", "Another program is using the camera."),
    ],
)
async def test_what_a_camera_cannot_do_is_said_and_escape_closes_it(
    live_server: LiveShop, engine: AsyncEngine, browser: Browser, screenshots: Path, error: str, said: str
) -> None:
    await hire(engine, live_server)
    async with phone(browser, live_server, width=390, language="en") as page:
        await refuse_camera(page, error)
        await sign_in(page, "li.na")
        opener = page.get_by_role("button", name="Use the camera")
        await opener.focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status")).to_contain_text(said)
        await expect(page.get_by_role("button", name="Close")).to_be_focused()
        await page.screenshot(path=screenshots / f"camera-{error}.png")
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_be_hidden()
        await expect(opener).to_be_focused()  # and the till did not go to a new customer


async def refuse_camera(page: Page, error: str) -> None:
    await page.add_init_script(
        f"navigator.mediaDevices.getUserMedia = async () => {{ throw new DOMException('no', '{error}'); }};"
    )
