"""Take the README's picture: the demonstration's item page, member card, till and console, side by side.

    .venv/bin/python -m tests.e2e.take_pictures docs/images/tallystar.png

It starts the demonstration in a folder of its own, walks through it in a real browser, and ends it.
"""

from __future__ import annotations

import asyncio
import io
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from loyalty.demo.brand import PASSWORD
from loyalty.demo.leads import EXPIRING, RICH
from loyalty.demo.people import phone_of

PHONE, DESK = (390, 844), (1180, 844)
SCALE = 1.5
GAP, EDGE, CORNER = 36, 48, 22
GROUND, FRAME = (236, 232, 224), (205, 199, 188)
MOST_BYTES = 400_000


@dataclass(frozen=True)
class Demo:
    """A demonstration that answers."""

    process: subprocess.Popen[str]
    url: str
    item: str


def start_demo(home: Path) -> Demo:
    """Start `tallystar demo` and wait until it has said where it answers."""
    program = shutil.which("tallystar", path=str(Path(sys.executable).parent))
    assert program is not None
    process = subprocess.Popen(
        [program, "demo"],
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "TALLYSTAR_HOME": str(home / "demo")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        printed += line
        if line.startswith("To begin anew"):
            break
    item = re.search(r"(http://\S+?)(/01/\d+/21/\S+)", printed)
    assert item is not None, printed
    return Demo(process, item[1], item[1] + item[2])


async def shoot(page: Page) -> Image.Image:
    """What the page shows, once its pictures and letters are there."""
    await page.wait_for_load_state("networkidle")
    return Image.open(io.BytesIO(await page.screenshot()))


async def open_page(browser: Browser, size: tuple[int, int]) -> tuple[BrowserContext, Page]:
    context = await browser.new_context(
        viewport={"width": size[0], "height": size[1]}, device_scale_factor=SCALE, locale="en-GB"
    )
    return context, await context.new_page()


async def item_page(browser: Browser, demo: Demo) -> Image.Image:
    context, page = await open_page(browser, PHONE)
    await page.goto(demo.item)
    picture = await shoot(page)
    await context.close()
    return picture


async def member_card(browser: Browser, demo: Demo) -> Image.Image:
    context, page = await open_page(browser, PHONE)
    await page.goto(f"{demo.url}/join")
    await page.locator("input[type=tel]").fill(phone_of(RICH))
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/join/code*")
    shown = re.search(r"\b\d{6}\b", await page.locator("main").inner_text())
    assert shown is not None
    await page.locator("input[autocomplete=one-time-code]").fill(shown[0])
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/me*")
    picture = await shoot(page)
    await context.close()
    return picture


async def sign_in(page: Page, demo: Demo, path: str, username: str) -> None:
    await page.goto(f"{demo.url}{path}")
    await page.locator("input[name=username]").fill(username)
    await page.locator("input[name=password]").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**{path}*")


async def till(browser: Browser, demo: Demo) -> Image.Image:
    context, page = await open_page(browser, DESK)
    await sign_in(page, demo, "/till", "anfu")
    await page.keyboard.type(phone_of(EXPIRING))
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/till/members/*")
    await page.keyboard.type("268")
    await page.keyboard.press("Enter")
    await page.wait_for_load_state()
    picture = await shoot(page)
    await context.close()
    return picture


async def console(browser: Browser, demo: Demo) -> Image.Image:
    context, page = await open_page(browser, DESK)
    await sign_in(page, demo, "/console", "owner")
    picture = await shoot(page)
    await context.close()
    return picture


def framed(picture: Image.Image) -> Image.Image:
    """A picture with round corners and a thin frame."""
    mask = Image.new("L", picture.size, 0)
    box = (0, 0, picture.width - 1, picture.height - 1)
    ImageDraw.Draw(mask).rounded_rectangle(box, CORNER, fill=255)
    ground = Image.new("RGB", picture.size, GROUND)
    ground.paste(picture.convert("RGB"), mask=mask)
    ImageDraw.Draw(ground).rounded_rectangle(box, CORNER, outline=FRAME, width=2)
    return ground


def montage(rows: list[list[Image.Image]]) -> Image.Image:
    """Pictures in rows."""
    width = max(sum(picture.width for picture in row) + GAP * (len(row) - 1) for row in rows) + 2 * EDGE
    height = sum(max(picture.height for picture in row) for row in rows) + GAP * (len(rows) - 1) + 2 * EDGE
    whole = Image.new("RGB", (width, height), GROUND)
    top = EDGE
    for row in rows:
        left = EDGE
        for picture in row:
            whole.paste(framed(picture), (left, top))
            left += picture.width + GAP
        top += max(picture.height for picture in row) + GAP
    return whole


def save(picture: Image.Image, path: Path) -> int:
    """Write a PNG small enough for a page to load at once: fewer colours, then fewer pixels."""
    for share in (1.0, 0.85, 0.7, 0.6, 0.5):
        size = (round(picture.width * share), round(picture.height * share))
        content = io.BytesIO()
        smaller = picture.resize(size, Image.Resampling.LANCZOS).quantize(200, dither=Image.Dither.NONE)
        smaller.save(content, "PNG", optimize=True)
        if content.tell() < MOST_BYTES:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.getvalue())
            return content.tell()
    message = f"the picture stays above {MOST_BYTES:,} bytes"
    raise ValueError(message)


async def take(demo: Demo) -> Image.Image:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        shopper = [await item_page(browser, demo), await member_card(browser, demo)]
        staff = [await till(browser, demo), await console(browser, demo)]
        await browser.close()
    return montage([[shopper[0], staff[1]], [staff[0], shopper[1]]])


def main() -> None:
    target = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as home:
        demo = start_demo(Path(home))
        try:
            picture = asyncio.run(take(demo))
        finally:
            with demo.process:
                demo.process.send_signal(signal.SIGINT)
    print(f"{target}: {save(picture, target):,} bytes")


if __name__ == "__main__":
    main()
