"""A tab that notices when a page runs what it should only have shown: calls, dialogs, reports of the policy, complaints, live markup."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import BrowserContext, Page

_REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => blocked(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""
# What a person sees or can unfold there, the values of fields included.
_SHOWN = """(within) => {
  const part = document.querySelector(within);
  if (part === null) return "";
  for (const folded of part.querySelectorAll("details")) folded.open = true;
  const fields = [...part.querySelectorAll("input, textarea, option")].map((field) => field.value + "\\n" + field.textContent);
  return [part.innerText, ...fields].join("\\n");
}"""
# Attributes and elements that act, when a payload's call stands in them: those that wait for a hand are found without one.
_LIVE = """() => {
  const acts = /^(on|x-|hx-|@|:|v-)|^(srcdoc|style)$/;
  const leads = /^(href|src|action|formaction|data|xlink:href|content)$/;
  const found = [];
  for (const element of document.querySelectorAll("*")) {
    for (const { name, value } of element.attributes) {
      const address = value.replace(/[\\u0000-\\u0020]/g, "").toLowerCase();
      const isLive = acts.test(name) || (leads.test(name) && /^(javascript|vbscript|data:text)/.test(address));
      const isBase = element.tagName === "BASE" && value.includes("evil");
      if ((isLive && value.includes("xss(")) || isBase) found.push(`${element.tagName} ${name}=${value}`);
    }
    const isCode = ["SCRIPT", "STYLE"].includes(element.tagName) && element.type !== "application/json";
    if (isCode && /xss\\(|@import'/.test(element.textContent)) found.push(`${element.tagName} ${element.textContent}`);
  }
  return found;
}"""


def plain(text: str) -> str:
    """As it reads: runs of blanks are one."""
    return " ".join(text.split())


@dataclass
class Watch:
    """What was noticed since the tab was opened."""

    page: Page
    ran: list[Any] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def wait_until(self, has_come: Callable[[], bool]) -> None:
        """What the page tells comes a little after it has happened."""
        deadline = time.monotonic() + 240
        while not has_come():
            assert time.monotonic() < deadline, "the page never told of it"
            self.page.wait_for_timeout(20)

    def shown(self, within: str) -> str:
        return plain(self.page.evaluate(_SHOWN, within))

    def live(self) -> list[str]:
        """Markup that would act if somebody touched it."""
        found: list[str] = [hit for frame in self.page.frames if not frame.is_detached() for hit in frame.evaluate(_LIVE)]
        return found


def open_watched(browser: BrowserContext) -> Watch:
    page = browser.new_page()
    watch = Watch(page)
    page.expose_function("xss", lambda number=None: watch.ran.append(number))
    page.expose_function("blocked", lambda report: watch.blocked.append(str(report)))
    page.add_init_script(_REPORT_VIOLATIONS)

    def answer(dialog: Any) -> None:
        watch.ran.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", answer)
    page.on("pageerror", lambda error: watch.complaints.append(str(error)))
    page.on("console", lambda message: watch.complaints.append(message.text) if message.type == "error" else None)
    return watch
