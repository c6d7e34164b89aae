"""Table rows are readable while hovered, in the light and in the dark theme."""

import base64
import re
from typing import Literal

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.conftest import Desk
from tests.databases import Sql
from tests.waiting import until_async

pytestmark = pytest.mark.asyncio(loop_scope="session")

# The contrast that text must have: WCAG 2.2, 1.4.3.
MIN_CONTRAST = 4.5
# The contrast between the lightest and the darkest pixel of a picture, from WCAG's relative luminance.
CONTRAST = """async (png) => {
  const picture = new Image();
  picture.src = `data:image/png;base64,${png}`;
  await picture.decode();
  const canvas = new OffscreenCanvas(picture.width, picture.height).getContext("2d");
  canvas.drawImage(picture, 0, 0);
  const { data } = canvas.getImageData(0, 0, picture.width, picture.height);
  const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  let [darkest, lightest] = [1, 0];
  for (let at = 0; at < data.length; at += 4) {
    const [red, green, blue] = [data[at], data[at + 1], data[at + 2]].map((value) => linear(value / 255));
    const luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    darkest = Math.min(darkest, luminance);
    lightest = Math.max(lightest, luminance);
  }
  return (lightest + 0.05) / (darkest + 0.05);
}"""

# Selectors of the rows, by path.
ROWS = {
    "/": "role=main >> .q-table tbody tr",
    "/queues/{}": ".messages tbody tr",
    "/access?queue={}": "role=main >> role=row >> nth=1",
    "/health": ".facts tbody tr",
}


async def contrast(page: Page, place: Locator) -> float:
    """The contrast of a screenshot: 1 when it is of one colour, at most 21."""
    png = base64.b64encode(await place.screenshot()).decode()
    found: float = await page.evaluate(CONTRAST, png)
    return found


async def unreadable(page: Page, row: Locator) -> list[str]:
    """The texts of the cells with too little contrast."""
    cells = row.locator("th, td, [role=cell], [role=rowheader]").filter(has_text=re.compile(r"\S"), visible=True)
    found = [(await cell.inner_text(), await contrast(page, cell)) for cell in await cells.all()]
    assert found
    return [text for text, ratio in found if ratio < MIN_CONTRAST]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ROWS)
async def test_u1_a_hovered_row_is_readable(
    desk: Desk, sql: Sql, queue: str, path: str, scheme: Literal["light", "dark"]
) -> None:
    sql("select pgmq.send(%s, '{}')", queue)
    await desk.page.emulate_media(color_scheme=scheme)
    await desk.open(path.format(queue))
    row = desk.page.locator(ROWS[path]).first
    await expect(row).to_be_visible()
    # A refresh replaces the row.
    await desk.page.get_by_role("button", name="Pause updates").click()
    await row.hover()
    # An update that was already loading may replace it once more.
    await until_async(lambda: row.evaluate("row => row.matches(':hover')"))
    assert await unreadable(desk.page, row) == []
