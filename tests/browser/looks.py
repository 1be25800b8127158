"""How a page looks in both themes, wide and on a phone: kept as pictures, and looked over."""

from pathlib import Path

from playwright.sync_api import Page

from tests.browser.audit import contrast_of, narrowness_of, structure_of

WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 380, "height": 800}


def faults_of(page: Page, folder: Path, name: str) -> list[str]:
    """What is wrong with how the page looks now, in both themes, wide and on a phone; each is kept as a picture."""
    wrong = [f"{name}: {complaint}" for complaint in structure_of(page)]
    for size_name, size in (("wide", WIDE), ("narrow", NARROW)):
        page.set_viewport_size(size)
        for theme in ("light", "dark"):
            page.evaluate("(isDark) => document.documentElement.classList.toggle('dark', isDark)", theme == "dark")
            page.screenshot(path=folder / f"{name}-{size_name}-{theme}.png", full_page=True)
            found = contrast_of(page) + (narrowness_of(page) if size is NARROW else [])
            wrong += [f"{name} {size_name} {theme}: {complaint}" for complaint in found]
    page.evaluate("document.documentElement.classList.remove('dark')")
    page.set_viewport_size(WIDE)
    return wrong
