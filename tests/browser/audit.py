"""What is wrong with a page for people who use a keyboard, a screen reader, a phone or the dark theme."""

from typing import Any

from playwright.sync_api import Page

# Names, labels, headings, and what can be clicked but not reached.
_STRUCTURE = """() => {
  const found = [];
  const seen = (part) => part.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && part.getClientRects().length > 0;
  const what = (part) => `${part.tagName.toLowerCase()}#${part.id}[${part.getAttribute("name") ?? part.className}]`.slice(0, 90);
  const words = (part) => {
    const copy = part.cloneNode(true);
    for (const icon of copy.querySelectorAll(".material-symbols-outlined, [aria-hidden=true]")) icon.remove();
    return copy.textContent.trim();
  };
  const named = (part) => (part.getAttribute("aria-label") || part.title || "").trim() ||
    (part.getAttribute("aria-labelledby") ?? "").split(" ").some((id) => document.getElementById(id)?.textContent.trim());
  if (!document.title.trim()) found.push("the page has no title");
  if (!document.documentElement.lang) found.push("the page has no language");
  const ids = [...document.querySelectorAll("#main [id]")].map((part) => part.id);
  for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) found.push(`two parts have the id ${id}`);
  for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
    if (seen(field) && !named(field) && ![...(field.labels ?? [])].some((label) => words(label))) found.push(`no label: ${what(field)}`);
  }
  for (const part of document.querySelectorAll("button, a[href], [role=button], summary")) {
    const image = part.querySelector("img[alt], svg title");
    if (seen(part) && !named(part) && !words(part) && !image) found.push(`no name: ${what(part)}`);
  }
  for (const image of document.querySelectorAll("img:not([alt])")) found.push(`no alt: ${what(image)}`);
  for (const part of document.querySelectorAll("[x-on\\\\:click], [onclick]")) {
    const isReached = part.matches("a[href], button, input, select, textarea, summary, label, form, [tabindex]");
    if (seen(part) && !isReached && part.textContent.trim()) found.push(`only for a mouse: ${what(part)}`);
  }
  let level = 0;
  for (const heading of document.querySelectorAll("#main :is(h1, h2, h3, h4, h5, h6)")) {
    if (!seen(heading)) continue;
    const own = Number(heading.tagName[1]);
    if (own > level + 1) found.push(`h${level} is followed by h${own}: ${heading.textContent.trim().slice(0, 30)}`);
    level = own;
  }
  if (document.querySelectorAll("h1").length !== 1) found.push("there must be one h1");
  for (const table of document.querySelectorAll("table")) {
    if (seen(table) && !table.querySelector("th")) found.push(`no heads: ${what(table)}`);
  }
  return found;
}"""

# WCAG's contrast of text on what lies behind it: 4.5, or 3 for large text.
_CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  canvas.canvas.width = canvas.canvas.height = 1;
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map((at) => top[at] * top[3] + below[at] * (1 - top[3])).concat(1);
  const behind = (part) => {
    const layers = [];
    for (let at = part; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const light = (colour) => {
    const [r, g, b] = colour.map((value) => (value / 255 <= 0.03928 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const opacity = (part) => (part ? Number(getComputedStyle(part).opacity) * opacity(part.parentElement) : 1);
  const found = new Map();
  const walk = document.createTreeWalker(document.getElementById("main") ?? document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const part = walk.currentNode.parentElement;
    const text = walk.currentNode.textContent.trim();
    const isShown = part.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && part.getClientRects().length > 0;
    if (!text || !isShown || part.closest(".material-symbols-outlined, script, option, [disabled], .unseen, .sr-only")) continue;
    const style = getComputedStyle(part);
    const ground = behind(part);
    const ink = rgba(style.color);
    ink[3] *= opacity(part);
    const [high, low] = [light(over(ink, ground)), light(ground)].sort((a, b) => b - a);
    const ratio = (high + 0.05) / (low + 0.05);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const what = `contrast ${ratio.toFixed(1)}: ${part.tagName.toLowerCase()}.${part.className}`.slice(0, 90);
    if (ratio < (isLarge ? 3 : 4.5)) found.set(what, text.slice(0, 30));
  }
  return [...found].map(([place, text]) => `${place} ${text}`);
}"""

# On a phone: nothing sticks out, nothing lies on a button, and a thumb can hit it.
_NARROW = """() => {
  const found = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) found.push(`the page is ${root.scrollWidth} px wide`);
  for (const part of document.querySelectorAll("#main .button, #main a.tile, #main button, #main input:not([type=hidden]), #main select")) {
    if (!part.checkVisibility({ opacityProperty: true, visibilityProperty: true }) || part.closest("[data-simplebar], .wide")) continue;
    part.scrollIntoView({ block: "center", inline: "nearest" });
    const box = part.getBoundingClientRect();
    if (box.width < 2 || box.height < 2) continue;
    const what = `${part.tagName.toLowerCase()}#${part.id}.${part.className} ${part.textContent.trim()}`.slice(0, 80);
    if (box.left + scrollX < -1 || box.right + scrollX > root.clientWidth + 1) found.push(`cut off: ${what}`);
    const isSmall = !["checkbox", "radio"].includes(part.type) && (box.height < 24 || box.width < 24);
    if (isSmall) found.push(`${Math.round(box.width)}x${Math.round(box.height)} px: ${what}`);
    const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    const isMine = top && (part.contains(top) || top.contains(part) || part.parentElement.parentElement.contains(top));
    if (!isMine) found.push(`covered by ${top?.tagName}.${top?.className}: ${what}`);
  }
  window.scrollTo(0, 0);
  return found;
}"""


# The back office names its parts once everything has loaded; pages of other origins have none of its scripts.
_IS_READY = """() => document.readyState === "complete"
  && (!document.querySelector("script[src*=keyboard]") || !!document.documentElement.dataset.keyboard)"""


# What moves has arrived: colours and sizes are those that stay. Two frames first, in which scripts answer to what has just changed.
_COME_TO_REST = """async () => {
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  for (const move of document.getAnimations()) if (move instanceof CSSTransition) move.finish();
}"""


def structure_of(page: Page) -> list[str]:
    page.wait_for_function(_IS_READY)
    return _run(page, _STRUCTURE)


def contrast_of(page: Page) -> list[str]:
    return _run(page, _CONTRAST)


def narrowness_of(page: Page) -> list[str]:
    return _run(page, _NARROW)


def _run(page: Page, script: str) -> list[str]:
    page.evaluate(_COME_TO_REST)
    found: Any = page.evaluate(script)
    return [str(complaint) for complaint in found]
