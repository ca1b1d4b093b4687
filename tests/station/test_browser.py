"""The station in a real browser, with its content-security policy on: the whole round, by mouse and keys."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright")
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright  # noqa: E402

CHROMIUM = shutil.which("chromium")
MINUTE = 60_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        if os.environ.get("FLAWTRACE_CI"):
            pytest.fail("CI has chromium, and it is not here")
        pytest.skip("no chromium here: `apt-get install chromium`")
    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Of a station on an empty workspace, in a process of its own."""
    command = [sys.executable, "-m", "flawtrace", "serve", tmp_path / "station", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
        process.terminate()


@pytest.fixture(params=["desktop", "phone"])
def viewport(request: pytest.FixtureRequest) -> dict[str, int]:
    return {"width": 1280, "height": 860} if request.param == "desktop" else {"width": 390, "height": 780}


@pytest.fixture
def page(browser: Browser, viewport: dict[str, int], address: str) -> Iterator[Page]:
    """A page on which nothing goes wrong unseen."""
    context = browser.new_context(viewport=viewport, base_url=address)  # type: ignore[arg-type]
    opened, complaints = context.new_page(), []

    def complained(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and "412" not in message.text:
            complaints.append(message.text)

    opened.on("console", complained)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    assert complaints == []
