"""A dashboard in a browser, as a person who has signed in sees it."""

from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Page

# What the tests leave to look at.
PICTURES = Path(__file__).with_name("screenshots")


@dataclass(frozen=True)
class Desk:
    """Pages of the dashboard at `url`, for who is signed in there."""

    page: Page
    url: str

    async def open(self, path: str, *, narrow: bool = False) -> None:
        """Go to a page of it."""
        await self.page.set_viewport_size({"width": 390, "height": 844} if narrow else {"width": 1440, "height": 900})
        await self.page.goto(self.url + path)
        await self.page.locator("#main").wait_for()

    async def picture(self, name: str, *, dark: bool = False) -> None:
        """The page as it is; nothing may stick out sideways."""
        await self.page.emulate_media(color_scheme="dark" if dark else "light")
        assert await self.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await self.page.evaluate("scrollTo(0, 0)")
        PICTURES.mkdir(exist_ok=True)
        await self.page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
