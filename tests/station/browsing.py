"""A station served to a real browser, for tests."""

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

from flawtrace.station.web.app import create_app
from flawtrace.station.web.guard import Rules
from flawtrace.station.work.station import Station

pytest.importorskip("playwright", reason="the tests of pages need `pip install playwright`")

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright


class Served:
    """A station that answers at an address, on a thread of the tests."""

    def __init__(self, folder: Path, rules: Rules | None = None) -> None:
        self.station = Station(folder)
        config = uvicorn.Config(create_app(self.station, rules), port=0, log_level="warning", ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.02)
        self.address = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join()


def chromium() -> str:
    """Where it is; without it tests are skipped, but never where CI says that it must be there."""
    found = shutil.which("chromium")
    if found is None:
        if os.environ.get("FLAWTRACE_CI"):
            pytest.fail("CI has chromium, and it is not here")
        pytest.skip("no chromium here: `apt-get install chromium`")
    return found


@contextmanager
def launched() -> Iterator[Browser]:
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield browser
        browser.close()


class Complaints(list[str]):
    """What a browser says on its console when something goes wrong on a page."""

    def of(self, page: Page) -> None:
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.append(str(error)))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and " 412 " not in message.text:
            self.append(f"{message.text} ({message.location.get('url')})")
