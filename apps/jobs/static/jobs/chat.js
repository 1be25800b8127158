// Sends what is said, shows the answer as it comes, and then the turn as the server tells it, with citations, cost and run.
(() => {
  const form = document.getElementById("say");
  if (!form) return;
  const field = form.querySelector("textarea");
  const button = form.querySelector("button");
  const trouble = document.getElementById("say-error");

  // Without this script nothing would read the answer.
  button.disabled = false;

  const show = (message) => {
    trouble.textContent = message;
    trouble.hidden = !message;
  };

  const bubble = (className, text) => {
    const made = document.createElement("div");
    made.className = className;
    made.textContent = text;
    return made;
  };

  // Reads events as they come; a block ends with an empty line.
  const events = async function* (body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let waiting = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (waiting + value).split("\n\n");
      waiting = blocks.pop();
      for (const block of blocks) {
        const found = { name: "message", data: "" };
        for (const line of block.split("\n")) {
          if (line.startsWith("event: ")) found.name = line.slice(7);
          if (line.startsWith("data: ")) found.data += line.slice(6);
        }
        if (found.data) yield found;
      }
    }
  };

  const renew = async () => {
    const page = await (await fetch(location.href, { headers: { Accept: "text/html" } })).text();
    const fresh = new DOMParser().parseFromString(page, "text/html");
    for (const id of ["about", "talk", "besides"]) document.getElementById(id).replaceWith(fresh.getElementById(id));
    document.getElementById("talk").lastElementChild.scrollIntoView({ block: "nearest" });
  };

  const talk = async () => {
    const told = document.createElement("article");
    told.className = "turn";
    const answer = bubble("answered lines", "…");
    told.append(bubble("said lines", field.value), answer);
    document.getElementById("talk").append(told);
    told.scrollIntoView({ block: "nearest" });
    const said = new FormData(form);
    field.value = "";
    const response = await fetch(form.action, { method: "POST", body: said });
    if (!response.ok) {
      told.remove();
      field.value = said.get("input");
      show(response.status < 500 ? await response.text() : "The platform does not answer. What was said may have been taken: load the page again.");
      return;
    }
    let text = "";
    let refused = "";
    for await (const event of events(response.body)) {
      if (event.name === "refused") refused = JSON.parse(event.data).message;
      if (event.name !== "message" || event.data === "[DONE]") continue;
      const chunk = JSON.parse(event.data);
      if (chunk.error) refused = chunk.error.message;
      text += chunk.choices?.[0]?.delta?.content || "";
      if (text) answer.textContent = text;
    }
    if (refused) {
      show(refused);
      field.value = said.get("input");
    }
    await renew();
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!field.value.trim() || button.disabled) return;
    show("");
    button.disabled = true;
    try {
      await talk();
    } catch {
      show("The connection broke. Load the page again: what was sent is answered there; say again what is not.");
    } finally {
      button.disabled = false;
      field.focus();
    }
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
})();
