// A button with data-copies="ID" puts the text of that field into the clipboard, and says so.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copies]");
  if (!button) return;
  const field = document.getElementById(button.dataset.copies);
  const told = document.querySelector(`[data-copied-of="${button.dataset.copies}"]`);
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    told.textContent = "Copied.";
  } catch {
    // Without TLS browsers keep the clipboard closed, except on this machine's own address.
    told.textContent = "The browser didn't allow it. The key is selected: copy it with Ctrl+C.";
  }
});
