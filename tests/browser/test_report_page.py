"""The report in a real browser. ``make test-browser`` runs these tests."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command import call
from paths import ROOT
from report_content import page_text

pytestmark = pytest.mark.browser

playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra: pip install 'nbeval[browser]'")
axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="needs the extra: pip install 'nbeval[browser]'"
)
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

LOOKS = [(scheme, width) for scheme in ("light", "dark") for width in (390, 1440)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium: `apt-get install chromium`")
    with playwright.sync_playwright() as manager:
        # A container's root has no sandbox for Chromium; the page is our own.
        opened = manager.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def every_part(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small page with everything that a page can have."""
    path = tmp_path_factory.mktemp("report") / "small.html"
    path.write_text(page_text(), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    folder = str(ROOT / "results" / "reference" / "cifar10-small")
    assert call("report", "--results", folder, "--study", "cifar10-small", "--output", str(path)) == 0
    return path


class Tab:
    """A tab with a report, which remembers what the browser complained about and what it asked the network for."""

    def __init__(self, browser: Any, report: Path, scheme: str = "light", width: int = 1440) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.page = self.context.new_page()
        self.messages: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(report.as_uri())

    def column(self, table: str, title: str) -> list[str]:
        """The visible entries of a column, first lines only."""
        return self.page.eval_on_selector(
            f"#{table} table",
            """(table, title) => {
                const heads = [...table.tHead.rows[0].cells];
                const at = heads.findIndex((head) => head.textContent.includes(title));
                return [...table.tBodies[0].rows].filter((row) => !row.hidden)
                    .map((row) => row.cells[at].innerText.split("\\n")[0].trim());
            }""",
            title,
        )


@pytest.fixture
def tab(browser: Any, report: Path) -> Iterator[Tab]:
    opened = Tab(browser, report)
    yield opened
    assert opened.messages == []
    assert [url for url in opened.requests if not url.startswith(("file:", "blob:", "data:"))] == []
    opened.context.close()


def test_the_page_is_small(report: Path) -> None:
    assert report.stat().st_size < 3e6


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_axe_finds_nothing_serious(browser: Any, every_part: Path, scheme: str, width: int) -> None:
    tab = Tab(browser, every_part, scheme, width)
    tab.page.evaluate("document.querySelectorAll('details:not(.data)').forEach((box) => { box.open = true; })")
    tab.page.locator("details.data").first.evaluate("(box) => { box.open = true; }")
    tab.page.locator(".data table").wait_for()
    found = axe.Axe().run(tab.page, options={"resultTypes": ["violations"]}).response["violations"]
    bad = [f"{each['id']}: {each['nodes'][0]['html']}" for each in found if each["impact"] in ("serious", "critical")]
    assert bad == []
    assert tab.messages == []  # no text of a run has become a script
    tab.context.close()


@pytest.mark.parametrize("width", [390, 1440])
def test_the_page_never_scrolls_sideways(browser: Any, report: Path, width: int) -> None:
    tab = Tab(browser, report, width=width)
    tab.page.evaluate("document.querySelectorAll('details:not(.data)').forEach((box) => { box.open = true; })")
    assert tab.page.evaluate("document.documentElement.scrollWidth") == width
    tab.context.close()


def test_a_column_sorts_by_its_numbers_and_says_so(tab: Tab) -> None:
    head = tab.page.locator("#comparison thead th", has_text="cifar10 (%)")
    head.get_by_role("button").click()
    values = [float(text.split()[0]) for text in tab.column("comparison", "cifar10 (%)")]
    assert len(values) == 14
    assert values == sorted(values, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    head.get_by_role("button").click()
    assert [float(text.split()[0]) for text in tab.column("comparison", "cifar10 (%)")] == sorted(values)
    assert head.get_attribute("aria-sort") == "ascending"
    assert tab.page.locator("[aria-sort]").count() == 1
    tab.page.locator("#comparison thead").get_by_role("button", name="method").click()
    names = tab.column("comparison", "method")
    assert names == sorted(names, key=str.casefold)


def test_a_filter_keeps_the_rows_with_all_its_words(tab: Tab) -> None:
    box = tab.page.locator("#comparison input[type=search]")
    box.fill("gaea bilevel")
    assert tab.column("comparison", "method") == ["GAEA DARTS (bilevel)"]
    assert tab.page.locator("#comparison .count").inner_text() == "1 of 14 rows"
    box.fill("")
    assert len(tab.column("comparison", "method")) == 14


def test_everything_works_with_the_keyboard(tab: Tab) -> None:
    press = tab.page.keyboard.press
    press("Tab")
    assert tab.page.evaluate("document.activeElement.className") == "skip"
    assert tab.page.locator(".skip").bounding_box()["y"] >= 0
    press("Enter")
    assert tab.page.evaluate("document.activeElement.id") == "main"
    tab.page.locator("#comparison input").focus()
    for _ in range(8):
        press("Tab")
        if tab.page.evaluate("document.activeElement.tagName") == "BUTTON":
            break
    assert tab.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    press("Enter")
    assert tab.page.locator("#comparison [aria-sort]").count() == 1


def test_the_theme_follows_the_system_until_it_is_chosen(browser: Any, report: Path) -> None:
    tab = Tab(browser, report, "dark")
    colour = "getComputedStyle(document.body).backgroundColor"
    dark = tab.page.evaluate(colour)
    tab.page.emulate_media(color_scheme="light")
    light = tab.page.evaluate(colour)
    assert light != dark
    tab.page.get_by_role("button", name="Dark theme").click()
    assert tab.page.evaluate(colour) == dark
    tab.page.reload()
    assert tab.page.evaluate(colour) == dark
    tab.page.get_by_role("button", name="Light theme").click()
    assert tab.page.evaluate(colour) == light
    tab.context.close()


def test_the_numbers_of_a_figure_are_one_click_away(tab: Tab) -> None:
    figure = tab.page.locator("#figure-entropy")
    figure.locator("summary").click()
    figure.locator("table").wait_for()
    assert figure.locator("tbody tr").count() == 200
    assert "reduced" in figure.inner_text()
    with tab.page.expect_download() as started:
        figure.get_by_role("link", name="Download csv").click()
    assert started.value.suggested_filename == "entropy.csv"
    text = Path(started.value.path()).read_text()
    assert text.startswith("label,variant_id,")
    assert len(text.splitlines()) > 800


def test_without_scripts_tables_stand_and_numbers_download_compressed(browser: Any, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator("#comparison tbody tr").count() == 14
    assert not page.locator("#theme").is_visible()
    with page.expect_download() as started:
        page.locator("#comparison a.csv").click()
    assert started.value.suggested_filename == "comparison.csv.gz"
    assert b",protocol,label," in gzip.decompress(Path(started.value.path()).read_bytes()).splitlines()[0]
    context.close()


def test_a_link_to_a_variant_opens_its_settings(tab: Tab) -> None:
    tab.page.locator("#comparison").get_by_role("link", name="GDAS", exact=True).click()
    variant = tab.page.locator("details.variant[open]")
    assert variant.count() == 1
    assert "nbeval run --method gdas --dataset cifar10 --seeds 3 --scale small" in variant.inner_text()


def test_print_shows_what_is_open_without_controls(tab: Tab) -> None:
    tab.page.get_by_role("button", name="Open all").click()
    assert tab.page.locator("details:not(.data):not([open])").count() == 0
    tab.page.set_viewport_size({"width": 720, "height": 1000})
    tab.page.emulate_media(media="print", color_scheme="dark")
    for hidden in ("nav", "#theme", "#open-all", "#comparison input", "#comparison .csv"):
        assert not tab.page.locator(hidden).is_visible()
    assert tab.page.locator("#comparison thead").get_by_text("search cost").is_visible()
    assert tab.page.evaluate("document.documentElement.scrollWidth") == 720
    assert tab.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(253, 253, 251)"
    tab.page.emulate_media(media="screen", color_scheme="light")
    tab.page.get_by_role("button", name="Close all").click()
    assert tab.page.locator("details[open]").count() == 0
