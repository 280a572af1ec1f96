// What stands above every view: the tabs, the clock, what was sent twice, and whether the sandbox answers.

import { byId, el, keep } from "./dom.js";
import { plain, retell, sandboxNow, setClock, span } from "./time.js";
import { campaignPath, number, people } from "./text.js";

let upcoming = null;

export function showHead({ clock, counts, twice }) {
  for (const [name, count] of Object.entries(counts)) {
    const node = document.querySelector(`[data-count="${name}"]`);
    if (node) node.textContent = number(count);
  }
  showClock(clock);
  keep(byId("alerts"), twice, (row) => row.id, (row) =>
    el("p", { class: "alert" }, el("strong", {}, `${row.times === 2 ? "Sent twice" : `Sent ${row.times} times`}: `),
      el("a", { href: campaignPath(row.id) }, row.name), ` — ${people(row.again)} got it more than once.`));
  document.title = `${twice.length ? "⚠ " : ""}Klaviyo sandbox`;
}

function showClock(clock) {
  setClock(clock);
  upcoming = clock.next;
  const lead = clock.ahead < 2 ? "" : `${span(clock.ahead)} ahead`;
  byId("clock-note").textContent = [lead, clock.speed >= 0.01 && clock.speed !== 1 ? `${clock.speed}× speed` : "", clock.speed < 0.01 ? "stands still" : ""].filter(Boolean).join(", ");
  for (const button of nextButtons()) button.disabled = upcoming === null;
  const note = byId("clock-next");
  if (note) note.textContent = upcoming ? `The next event is at ${plain(Date.parse(upcoming.at))}, in ${span(upcoming.seconds)}.` : "Nothing is to come: no send, job or segment is under way.";
  tick();
}

export function tick() {
  const text = plain(sandboxNow());
  const node = byId("clock");
  if (node.textContent !== text) node.textContent = text;
  node.title = "UTC";
  retell();
}

export function pulse(kind, text) {
  const node = byId("pulse");
  node.className = `note ${kind}`;
  if (node.textContent !== text) node.textContent = text;
}

export const advance = (seconds) =>
  fetch("/sandbox/clock", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ advance: seconds }) });

const nextButtons = () => document.querySelectorAll("#next-event, [data-next]");

export function bindHead(refresh) {
  for (const button of nextButtons()) {
    button.addEventListener("click", async () => {
      if (upcoming) await advance(upcoming.seconds);
      refresh();
    });
  }
}
