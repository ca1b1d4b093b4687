"""Pictures of the station's pages, for the documents and for its own page Help.

    python docs/make_station_pictures.py http://127.0.0.1:8321/

The station runs on a workspace with the demo's images and a detector at work that has looked at some of them.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
DOCS, STATIC = ROOT / "docs/station", ROOT / "src/flawtrace/station/static"
PAGES = {
    "start": "/",
    "images": "/images",
    "next": "/next",
    "train": "/train",
    "compare": "/compare",
    "report": "/report",
    "components": "/components",
    "help": "/help",
}
SIZE = {"width": 1280, "height": 860}


def main(address: str) -> None:
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_context(base_url=address, viewport=SIZE).new_page()  # type: ignore[arg-type]
        one_image(page)
        DOCS.mkdir(exist_ok=True)
        for name in ("look", "paint"):
            shutil.copyfile(STATIC / f"help-{name}.png", DOCS / f"{name}.png")
        for name, path in PAGES.items():
            page.goto(path)
            if name == "next":
                page.wait_for_selector("[data-proposals][aria-busy=false]", timeout=120_000)
            page.wait_for_timeout(800)
            page.screenshot(path=DOCS / f"{name}.png")
        browser.close()


def one_image(page: Page) -> None:
    """The first image with a defect that the detector has looked at, and painting it."""
    page.goto("/images?show=defect")
    page.locator("a.card", has=page.locator(".chip.DEFECT")).first.click()
    page.wait_for_selector("[data-look][data-ready]")
    page.wait_for_timeout(4000)
    box = page.locator("canvas").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_timeout(500)
    page.screenshot(path=STATIC / "help-look.png")
    page.keyboard.press("p")
    page.wait_for_selector("[data-painting][data-ready]")
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_timeout(500)
    page.screenshot(path=STATIC / "help-paint.png")


if __name__ == "__main__":
    main(sys.argv[1])
