"""The station in a real browser, its content-security policy on: the whole round, by mouse and by keys."""

import io
import json
import re
import shutil
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from browsing import Complaints, Served, launched
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, FilePayload, Page, expect

from flawtrace.data import read_category
from flawtrace.detector import Errors
from flawtrace.ground.files import append_json
from flawtrace.pictures.images import mask_file_content
from flawtrace.pictures.mask_files import read_mask
from flawtrace.station.store.history import verified
from flawtrace.station.store.jobs import ask, becomes, job_row, options_of
from flawtrace.station.store.shelf import add_image, cards, counts, hashes, image_row
from flawtrace.station.store.strokes import NO_MASK, save_mask
from flawtrace.station.store.versions import at_work
from flawtrace.station.web import images
from flawtrace.station.work import runner
from flawtrace.station.work.demo import fill

pytestmark = pytest.mark.slow
A_WHILE = 240_000
"""Milliseconds that a training of the tests may take on a busy machine."""
DESKTOP, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 780}
PAGES = ("/", "/images", "/train", "/compare", "/next", "/report", "/help", "/components", "/docs")
expect.set_options(timeout=60_000)  # tests run side by side
TINY = tomllib.loads((Path(__file__).parents[1] / "tiny.toml").read_text())


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as opened:
        yield opened


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A station on an empty workspace, whose quick trainings take seconds."""
    monkeypatch.setattr(runner, "QUICK", {name: value for name, value in TINY.items() if name != "labels"})
    opened = Served(tmp_path / "station")
    yield opened
    opened.close()


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    """Nothing may go wrong on a page unseen."""
    found = Complaints()
    yield found
    assert found == []


def context_of(browser: Browser, served: Served, viewport: dict[str, int]) -> BrowserContext:
    return browser.new_context(base_url=served.address, viewport=viewport)  # type: ignore[arg-type]


@pytest.fixture
def page(browser: Browser, served: Served, complaints: Complaints) -> Iterator[Page]:
    context = context_of(browser, served, DESKTOP)
    opened = context.new_page()
    complaints.of(opened)
    yield opened
    context.close()


def a_picture(height: int = 120, width: int = 160, seed: int = 0) -> bytes:
    values = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def add_one(served: Served, height: int = 120, width: int = 160) -> str:
    return add_image(served.station.workspace, a_picture(height, width), "one.png")[0].hash


def mask_of(served: Served, image: str) -> torch.Tensor:
    workspace = served.station.workspace
    with workspace.database.reading() as session:
        row = image_row(session, image)
    assert row.mask is not None
    return read_mask(workspace.mask_file(row.mask))


class Painter:
    """The page on which one image is painted."""

    def __init__(self, page: Page, image: str, height: int, width: int) -> None:
        self.page, self.height, self.width = page, height, width
        page.goto(f"/images/{image}/paint")
        page.wait_for_selector("[data-painting][data-ready]")

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a pixel of the image is on the screen, while all of it is shown."""
        box = self.page.locator("canvas").bounding_box()
        assert box is not None
        scale = min(box["width"] / self.width, box["height"] / self.height)
        left = box["x"] + (box["width"] - scale * self.width) / 2
        top = box["y"] + (box["height"] - scale * self.height) / 2
        return left + scale * x, top + scale * y

    def stroke(self, *points: tuple[float, float]) -> None:
        self.page.mouse.move(*self.at(*points[0]))
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*self.at(*point), steps=4)
        self.page.mouse.up()

    def brush(self, size: int) -> None:
        self.page.locator("[name=size]").fill(str(size))

    def save(self) -> None:
        saved = int(self.page.locator("[data-painting]").get_attribute("data-saved") or 0)
        self.page.keyboard.press("Control+s")
        self.page.wait_for_selector(f"[data-saved='{saved + 1}']")


def test_the_first_ten_minutes(  # noqa: PLR0917 (fixtures)
    page: Page,
    browser: Browser,
    served: Served,
    complaints: Complaints,
    tiny: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From an empty workspace to a detector that is promoted; then, on a phone, overruled, trained again,
    compared, promoted and rolled back. What the detector finds matters to nobody here, so that it learns
    with tiny settings.
    """
    monkeypatch.setattr(runner, "QUICK", {name: v for name, v in tiny.items() if name != "labels"})
    page.goto("/")
    page.get_by_role("button", name="Fill with demo images").click()
    page.wait_for_url("**/images")
    page.goto("/")
    page.get_by_role("link", name="Train", exact=True).last.click()
    page.get_by_label("Quick").check()
    page.get_by_role("button", name="Train", exact=True).click()
    page.get_by_role("link", name="Compare and promote").click(timeout=A_WHILE)
    page.get_by_role("button", name="Promote detector 1").click()
    expect(page.get_by_role("banner").get_by_text("Detector 1 at work")).to_be_visible()
    page.get_by_role("slider").fill("0.25")
    page.get_by_role("button", name="Use this threshold").click()
    expect(page.get_by_text("Saved: verdicts are given by it")).to_be_visible()
    page.reload()
    expect(page.get_by_role("slider")).to_have_value("0.25")

    context = context_of(browser, served, PHONE)
    phone = context.new_page()
    complaints.of(phone)
    phone.goto("/images?show=unlabelled")
    phone.locator("a.card").first.click()
    phone.wait_for_selector("[data-look][data-ready]")
    phone.get_by_role("button", name="Look at it").click()
    expect(phone.get_by_text("by detector 1, score")).to_be_visible()
    phone.get_by_label("Your name").fill("Ada")
    phone.get_by_role("button", name="It is defective").click()
    expect(phone.get_by_text("by Ada").first).to_be_visible()

    phone.goto("/train")
    expect(phone.get_by_label("Refit detector 1")).to_be_checked()
    phone.get_by_role("button", name="Train", exact=True).click()
    phone.get_by_role("link", name="Compare and promote").click(timeout=A_WHILE)
    newest = phone.get_by_role("region", name="Detector 2")
    expect(newest.get_by_text("Against the detector that was at work")).to_be_visible()
    expect(newest.get_by_text("same answers")).to_be_visible()
    newest.get_by_role("button", name="Promote detector 2").click()
    phone.get_by_role("button", name="Go back to detector 1").click()
    expect(phone.get_by_role("banner").get_by_text("Detector 1 at work")).to_be_visible()
    phone.goto("/report")
    expect(phone.get_by_role("heading", name="Verdicts per day")).to_be_visible()
    with served.station.workspace.database.reading() as session:
        assert verified(session) == 2
        working = at_work(session)
        assert working is not None and working.id == 1
    context.close()


AXE: dict[str, Any] = {"resultTypes": ["violations"]}
RULES: dict[str, dict[str, Any]] = {"light": {}, "dark": {"runOnly": ["color-contrast"]}}
"""All rules once; the scheme changes colours alone."""


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_is_cut_off_or_hidden_from_anybody(
    browser: Browser, served: Served, complaints: Complaints, viewport: dict[str, int]
) -> None:
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 (beside the browser)

    fill(served.station.workspace)
    with served.station.workspace.database.reading() as session:
        image = cards(session, "defect")[0].image.hash
    context = context_of(browser, served, viewport)
    for scheme in RULES:
        page = context.new_page()
        page.emulate_media(color_scheme=scheme)
        complaints.of(page)
        for address in (*PAGES, f"/images/{image}", f"/images/{image}/paint"):
            page.goto(address)
            wide = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert wide == 0, f"{address} is {wide} pixels too wide"
            found = Axe().run(page, options=AXE | RULES[scheme]).response["violations"]
            told = [f"{one['id']}: {node['target']}" for one in found for node in one["nodes"]]
            assert told == [], f"{address} ({scheme})"
        page.close()
    context.close()


def test_images_are_labelled_by_keys(page: Page, served: Served) -> None:
    for seed in range(3):
        add_image(served.station.workspace, a_picture(seed=seed), f"{seed}.png")
    page.goto("/images")
    page.wait_for_selector("[data-grid][data-ready]", state="attached")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(page.get_by_text("2 selected")).to_be_visible()
    page.keyboard.press("o")
    expect(page.get_by_role("link", name="Normal 2")).to_be_visible()
    page.wait_for_selector("[data-grid][data-ready]", state="attached")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-look][data-ready]")
    first = page.url
    page.keyboard.press("ArrowRight")
    page.wait_for_url(lambda url: url != first)
    page.wait_for_selector("[data-look][data-ready]")
    page.keyboard.press("x")
    expect(page.get_by_text("defect (no mask)").first).to_be_visible()
    with served.station.workspace.database.reading() as session:
        assert (counts(session)["defect"], counts(session)["overruled"]) == (1, 0)


def test_a_training_learns_from_what_was_selected_over_several_pages(page: Page, served: Served) -> None:
    fill(served.station.workspace)
    with served.station.workspace.database.reading() as session:
        wanted = set(hashes(session, "defect")) | set(hashes(session, "normal"))
        count = counts(session)
    page.goto("/images?show=defect")
    page.wait_for_selector("[data-grid][data-ready]", state="attached")
    page.keyboard.press("a")
    page.goto("/images?show=normal")
    told = f"{count['defect']} selected, {count['defect']} of them not on this page"
    expect(page.get_by_text(told)).to_be_visible()
    page.keyboard.press("a")
    page.get_by_role("button", name=f"Select all {count['normal']}").click()
    expect(page.get_by_text(f"{count['defect'] + count['normal']} selected")).to_be_visible()
    page.get_by_role("link", name="Train on these").click()
    expect(page.get_by_label(re.compile(f"The {len(wanted)} selected ones"))).to_be_checked()
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.get_by_text(f"with {len(wanted)} selected images")).to_be_visible()
    with served.station.workspace.database.reading() as session:
        assert set(options_of(job_row(session, 1))["images"]) == wanted


def test_all_pages_of_a_search_are_selected_at_once(
    page: Page, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "ON_A_PAGE", 2)
    for seed, name in enumerate(["left 1", "left 2", "right", "left 3"]):
        add_image(served.station.workspace, a_picture(seed=seed), f"{name}.png")
    page.goto("/images")
    page.keyboard.press("/")
    page.keyboard.type("LEFT")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 to 2 of 3")).to_be_visible()
    page.wait_for_selector("[data-grid][data-ready]", state="attached")
    page.get_by_label("Select left 3.png").check()
    page.get_by_role("button", name="Select all 3").click()
    expect(page.get_by_text("3 selected, 1 of them not on this page")).to_be_visible()
    page.get_by_role("button", name="Normal", exact=True).click()
    expect(page.get_by_role("link", name="Normal 3")).to_be_visible()
    expect(page.get_by_role("region", name="Selected images")).to_be_hidden()


def test_a_curve_takes_back_what_a_checkpoint_did_not_keep(page: Page, served: Served) -> None:
    with served.station.workspace.database.writing() as session:
        job = ask(session, "train", {}).id
        becomes(session, job, "done", "Detector 1")
    served.station.workspace.progress_file(job).parent.mkdir(exist_ok=True)
    for done in (1, 2, 3, 4, 2, 3):
        row = {"phase": "cycle 1", "done": done, "total": 9, "values": {"loss": 1 / done}}
        append_json(served.station.workspace.progress_file(job), row)
    page.goto(f"/jobs/{job}")
    expect(page.get_by_text("Detector 1").last).to_be_visible()
    curve = page.locator(".curve polyline")
    expect(curve).to_have_attribute("points", re.compile(r"^\S+ \S+ \S+$"))


def test_what_a_camera_with_12_bits_puts_into_16_is_seen(page: Page, served: Served) -> None:
    values = np.random.default_rng(0).integers(1500, 4096, (60, 80), dtype=np.uint16)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    image = add_image(served.station.workspace, buffer.getvalue(), "deep.png")[0].hash
    seen = Image.open(io.BytesIO(page.request.get(f"/images/{image}/preview/full").body()))
    assert np.asarray(seen).mean() > 100


def test_files_folders_and_archives_are_added(page: Page, served: Served, photos: Path) -> None:
    ready = "[data-grid][data-ready]"
    page.goto("/images")
    page.wait_for_selector(ready, state="attached")
    good: FilePayload = {"name": "good.png", "mimeType": "image/png", "buffer": a_picture()}
    bad: FilePayload = {"name": "bad.png", "mimeType": "image/png", "buffer": b"no image"}
    page.get_by_label("Choose files").set_input_files([good, bad])
    expect(page.get_by_text("1 added, 1 refused")).to_be_visible()
    expect(page.locator("[data-uploads]")).to_contain_text("bad.png")
    page.goto("/images")
    page.wait_for_selector(ready, state="attached")
    page.get_by_label("Choose a folder").set_input_files(photos)
    expect(page.get_by_role("link", name=re.compile("Defect [1-9]"))).to_be_visible(timeout=60_000)
    page.wait_for_selector(ready, state="attached")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("parts/normal/1.png", a_picture(seed=5))
        archive.writestr("parts/normal/2.png", a_picture(seed=6))
        archive.writestr("parts/normal/3.png", a_picture(seed=7))
    with served.station.workspace.database.reading() as session:
        before = counts(session)
    zipped: FilePayload = {"name": "p.zip", "mimeType": "application/zip", "buffer": packed.getvalue()}
    page.get_by_label("Choose files").set_input_files([zipped])
    expect(page.get_by_role("link", name=f"Normal {before['normal'] + 3}")).to_be_visible()


def test_photographs_of_a_product_bring_their_masks_and_are_painted_on(
    page: Page, served: Served, real_data: Path, tmp_path: Path
) -> None:
    category = read_category(real_data / "mpdd/metal_plate")
    for sample in (*category.normal[:3], *category.anomalous[:3]):
        kind = "defects" if sample.anomalous else "normal"
        for file, place in ((sample.image, kind), (sample.mask, "masks")):
            if file is not None:
                copy = tmp_path / "parts" / place / f"{sample.image.stem}-{kind}{file.suffix}"
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copy)
    page.goto("/images")
    page.wait_for_selector("[data-grid][data-ready]", state="attached")
    page.get_by_label("Choose a folder").set_input_files(tmp_path / "parts")
    expect(page.get_by_role("link", name="Defect 3")).to_be_visible()
    expect(page.get_by_role("link", name="Normal 3")).to_be_visible()
    with served.station.workspace.database.reading() as session:
        row = cards(session, "defect")[0].image
    before = mask_of(served, row.hash)
    painter = Painter(page, row.hash, row.height, row.width)
    painter.brush(21)
    x, y = row.width // 2, 30
    painter.stroke((x, y), (x + 40, y))
    painter.save()
    after = mask_of(served, row.hash)
    assert after.shape == (row.height, row.width)
    assert after[before].all()
    assert after[y, x + 20]
    assert not before[y, x + 20]


def test_a_stroke_is_saved_where_it_was_painted_at_every_zoom(page: Page, served: Served) -> None:
    image = add_one(served)
    painter = Painter(page, image, 120, 160)
    painter.brush(9)
    painter.stroke((20, 30), (60, 30))
    page.mouse.move(*painter.at(100, 80))
    page.keyboard.down("Control")
    for _ in range(6):
        page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    page.mouse.down()
    page.mouse.up()  # the picture has grown around the pointer, so this is pixel (100, 80) still
    painter.save()
    mask = mask_of(served, image)
    rows, columns = np.nonzero(mask.numpy())
    left = columns < 80
    assert (rows[left].min(), rows[left].max()) == pytest.approx((26, 33), abs=1)
    assert (columns[left].min(), columns[left].max()) == pytest.approx((16, 63), abs=1)
    assert (rows[~left].mean(), columns[~left].mean()) == pytest.approx((79.5, 99.5), abs=1)


def test_tools_undo_and_redo(page: Page, served: Served) -> None:
    image = add_one(served)
    painter = Painter(page, image, 120, 160)
    painter.brush(5)
    painter.stroke((20, 20), (60, 20), (60, 60), (20, 60), (20, 20))
    page.keyboard.press("f")
    page.mouse.click(*painter.at(40, 40))
    page.keyboard.press("g")
    for corner in ((100, 20), (140, 20), (140, 60)):
        page.mouse.click(*painter.at(*corner))
    page.keyboard.press("Enter")
    painter.save()
    mask = mask_of(served, image)
    assert mask[40, 40] and mask[30, 130] and not mask[90, 40]
    page.keyboard.press("Control+z")
    painter.save()
    assert not mask_of(served, image)[30, 130]
    page.keyboard.press("Control+y")
    page.keyboard.press("e")
    painter.brush(20)
    painter.stroke((30, 40), (50, 40))
    painter.save()
    mask = mask_of(served, image)
    assert mask[30, 130] and mask[20, 40] and not mask[40, 40]


def test_saving_closes_a_polygon_and_never_saves_nothing(page: Page, served: Served) -> None:
    image = add_one(served)
    painter = Painter(page, image, 120, 160)
    page.keyboard.press("Control+s")
    expect(page.get_by_text("Nothing is painted yet")).to_be_visible()
    with served.station.workspace.database.reading() as session:
        assert image_row(session, image).kind == "unlabelled"
    page.keyboard.press("g")
    for corner in ((100, 20), (140, 20), (140, 60)):
        page.mouse.click(*painter.at(*corner))
    painter.save()
    assert mask_of(served, image)[30, 130]


def test_space_moves_the_picture_and_paints_nothing(page: Page, served: Served) -> None:
    image = add_one(served)
    painter = Painter(page, image, 120, 160)
    painter.stroke((20, 30), (60, 30))
    page.keyboard.down("Space")
    painter.stroke((80, 80), (100, 100))
    page.keyboard.up("Space")
    painter.save()
    assert not mask_of(served, image)[60:].any()


def test_a_defect_is_painted_by_keys_alone(page: Page, served: Served) -> None:
    image = add_one(served)
    painter = Painter(page, image, 120, 160)
    painter.brush(8)
    page.locator("canvas").focus()
    for key in ["ArrowLeft"] * 20:  # from the middle (80, 60), two pixels each
        page.keyboard.press(key)
    page.keyboard.press("Space")
    for key in ["ArrowDown"] * 10 + ["Shift+ArrowRight"] * 3:
        page.keyboard.press(key)
    page.keyboard.press("Space")
    page.keyboard.press("g")
    for keys in (["ArrowRight"] * 20, ["ArrowRight"] * 10, ["ArrowUp"] * 10):
        for key in keys:
            page.keyboard.press(key)
        page.keyboard.press("Space")
    page.keyboard.press("Enter")
    painter.save()
    mask = mask_of(served, image)
    assert mask[70, 40] and mask[80, 42] and not mask[60, 60]
    assert mask[75, 98] and not mask[65, 85]


def test_an_open_outline_is_not_filled(page: Page, served: Served) -> None:
    painter = Painter(page, add_one(served), 120, 160)
    page.keyboard.press("f")
    page.mouse.click(*painter.at(40, 40))
    expect(page.get_by_text("draw a closed outline first")).to_be_visible()


@pytest.mark.parametrize("choice", ["Keep my strokes on top", "Take the other mask"])
def test_two_painters_lose_no_stroke(page: Page, served: Served, choice: str) -> None:
    image = add_one(served)
    painter = Painter(page, image, 120, 160)
    painter.stroke((20, 30), (60, 30))
    theirs = torch.zeros(120, 160, dtype=torch.bool)
    theirs[80:100, 100:140] = True
    save_mask(served.station.workspace, image, mask_file_content(theirs), NO_MASK)
    page.keyboard.press("Control+s")
    expect(page.get_by_text("Somebody else has saved another mask")).to_be_visible()
    assert mask_of(served, image).equal(theirs)
    page.get_by_role("button", name=choice).click()
    expect(page.get_by_role("button", name=choice)).to_be_hidden()
    painter.save()
    mask = mask_of(served, image)
    assert mask[80:100, 100:140].all()
    assert bool(mask[30, 40]) == (choice == "Keep my strokes on top")


def test_a_large_image_is_painted_at_its_own_size(page: Page, served: Served) -> None:
    image = add_one(served, 3000, 4000)
    painter = Painter(page, image, 3000, 4000)
    painter.brush(100)
    painter.stroke((1000, 1000), (3000, 2000))
    painter.save()
    mask = mask_of(served, image)
    assert mask.shape == (3000, 4000)
    assert mask[1500, 2000]
    assert not mask[1700, 1600]


def test_the_slider_tells_the_intervals_that_we_tell(page: Page) -> None:
    page.goto("/components")
    cases = [[0, 25], [1, 29], [3, 12], [12, 12], [0, 1], [40, 500]]
    code = """async (cases) => {
        const { interval } = await import("/static/thresholds.js");
        return cases.map(([count, of]) => interval({ count, of }));
    }"""
    told: list[list[float]] = page.evaluate(code, cases)
    for (count, of), found in zip(cases, told, strict=True):
        assert found == pytest.approx(list(Errors(count, of).interval), abs=1e-9)


def test_a_failed_job_says_why_and_can_be_tried_again(page: Page, served: Served) -> None:
    add_one(served)
    page.goto("/train")
    page.evaluate("document.querySelector('button[disabled]').disabled = false")
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.get_by_text("It failed.")).to_be_visible(timeout=A_WHILE)
    expect(page.locator(".box.poor")).to_contain_text("normal")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    page.goto("/")
    expect(page.get_by_text("Job 1 failed.")).to_be_visible()


def test_knowledge_of_a_page_is_data(page: Page, served: Served) -> None:
    """A name that looks like markup stays text."""
    name = "<img src=x onerror=alert(1)>.png"
    add_image(served.station.workspace, a_picture(), name)
    page.goto("/images")
    expect(page.get_by_text(name, exact=True)).to_be_visible()
    assert json.dumps(page.evaluate("document.querySelectorAll('img[src=x]').length")) == "0"
