// Buttons that copy a text.

import { el } from "./dom.js";

export const copyButton = (text, name = "Copy", label = null) =>
  el("button", { type: "button", class: "copy", "aria-label": label, onclick: (event) => copy(event.currentTarget, text) }, name);

export function bindCopies() {
  for (const button of document.querySelectorAll("[data-copies]")) {
    button.addEventListener("click", () => copy(button, document.getElementById(button.dataset.copies).textContent));
  }
}

async function copy(button, text) {
  const name = button.copyName ?? (button.copyName = button.textContent);
  button.textContent = (await put(text)) ? "Copied" : "Not copied";
  setTimeout(() => { button.textContent = name; }, 1500);
}

async function put(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = el("textarea", { class: "away" });
    area.value = text;
    const focused = document.activeElement;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    focused?.focus({ preventScroll: true });
    return done;
  }
}
