// Times in relation to now, with the ISO time on hover. The sandbox has a clock of its own.

import { el } from "./dom.js";

let clock = { at: 0, now: 0, speed: 0 };

export function setClock({ now, speed }) {
  clock = { at: performance.now(), now: Date.parse(now), speed };
}

export const sandboxNow = () => (clock.at ? clock.now + (performance.now() - clock.at) * clock.speed : Date.now());

export const plain = (milliseconds) => new Date(milliseconds).toISOString().slice(0, 19).replace("T", " ");

// A time of the sandbox's clock, or of the real one; `whole` shows it as a date, too.
export function when(iso, { real = false, whole = false } = {}) {
  const node = el("time", { datetime: iso, title: `${iso}${real ? ", real time" : ", sandbox clock"}`, "data-clock": real ? "real" : "sandbox" });
  if (whole) node.dataset.whole = "";
  word(node);
  return node;
}

export function retell() {
  for (const node of document.querySelectorAll("time[data-clock]")) word(node);
}

function word(node) {
  const at = Date.parse(node.getAttribute("datetime"));
  const now = node.dataset.clock === "real" ? Date.now() : sandboxNow();
  const text = "whole" in node.dataset ? `${plain(at)} · ${relative(at - now)}` : relative(at - now);
  if (node.textContent !== text) node.textContent = text;
}

export function relative(milliseconds) {
  const seconds = Math.abs(milliseconds) / 1000;
  const words = span(seconds);
  if (seconds < 1.5) return "now";
  return milliseconds < 0 ? `${words} ago` : `in ${words}`;
}

export function span(seconds) {
  for (const [unit, length] of [["year", 31557600], ["day", 86400], ["h", 3600], ["min", 60]]) {
    const count = Math.round(seconds / length);
    if (seconds >= length * 0.995) return `${count} ${unit}${unit.length > 3 && count !== 1 || (unit === "day" && count !== 1) ? "s" : ""}`;
  }
  return `${Math.round(seconds)} s`;
}
