// What the theme gives only a mouse: its clickable parts can be reached with Tab and pressed with Enter or Space, and say what they are.
(() => {
  // The theme's icons are words of a font: what a button that has nothing else is called.
  const ICONS = {
    add: "Add", add_2: "Add", bolt: "Home", close: "Close the menu", more_horiz: "More", more_vert: "More", calendar_today: "Choose a date",
    schedule: "Choose a time", search: "Search", delete: "Remove", arrow_back: "Back", unfold_more: "Your account and the colours",
  };

  const words = (part) => {
    const copy = part.cloneNode(true);
    for (const icon of copy.querySelectorAll(".material-symbols-outlined")) icon.remove();
    return copy.textContent.trim();
  };

  const nameOf = (part) => {
    if (part.hasAttribute("aria-label") || part.title) return null;
    if (part.getAttribute("x-on:click")?.includes("openUserLinks")) return ICONS.unfold_more;
    if (words(part)) return null;
    if (part.id.startsWith("calendarlink")) return ICONS.calendar_today;
    if (part.id.startsWith("clocklink")) return ICONS.schedule;
    const icon = (part.matches(".material-symbols-outlined") ? part : part.querySelector(".material-symbols-outlined"))?.textContent.trim();
    return ICONS[icon] ?? (icon ? icon.replaceAll("_", " ") : null);
  };

  const call = (part) => {
    const name = nameOf(part);
    if (name) part.setAttribute("aria-label", name);
  };

  // Dates and times have one label for two fields, rows of a table the head of their column.
  const labelOf = (field) => {
    const own = field.closest("td")?.dataset.label || field.closest("[class*='field-']")?.querySelector("label, legend")?.textContent;
    const part = field.matches(".vDateField") ? ", date" : field.matches(".vTimeField") ? ", time" : "";
    return (own?.replace("*", "").trim() || field.placeholder || field.name || "Filter") + part;
  };

  const press = (event) => {
    if (event.target !== event.currentTarget || (event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    event.currentTarget.click();
  };

  const open = (part) => {
    const isReached = part.matches("a[href], button, input, select, textarea, summary, label, form, [tabindex]");
    if (isReached || part.id === "changelist-filter-close" || !part.textContent.trim()) return;
    part.tabIndex = 0;
    part.setAttribute("role", "button");
    part.addEventListener("keydown", press);
  };

  const tell = (selector, text) => {
    for (const part of document.querySelectorAll(selector)) if (!part.hasAttribute("aria-label")) part.setAttribute("aria-label", text);
  };

  const mend = () => {
    for (const part of document.querySelectorAll("[x-on\\:click]")) open(part);
    tell("#searchbar-submit", "Search");
    const search = document.getElementById("searchbar");
    if (search) search.setAttribute("aria-label", search.placeholder);
    tell("select[name=action]", "What to do with the chosen rows");
    tell("#action-toggle", "Choose all rows");
    tell("input.action-select", "Choose this row");
    for (const part of document.querySelectorAll("a, button, [role=button]")) call(part);
    for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
      const isNamed = field.hasAttribute("aria-label") || field.title || [...(field.labels ?? [])].some(words);
      if (!isNamed) field.setAttribute("aria-label", labelOf(field));
    }
    for (const icon of document.querySelectorAll(".material-symbols-outlined")) icon.setAttribute("aria-hidden", "true");
    document.documentElement.dataset.keyboard = "ready";
  };

  // After Django's own scripts, which put their parts into the page when it has loaded.
  window.addEventListener("load", () => setTimeout(mend));
  document.addEventListener("htmx:afterSettle", mend);
})();
