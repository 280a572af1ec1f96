// The clock, the rate limits, the faults, and their controls.

import { byId, el, keep } from "./dom.js";

const WINDOWS = { burst: "1 s", steady: "1 min", daily: "1 day" };
const NEEDS = { status_before_commit: ["status"], status_after_commit: ["status"], delay: ["seconds"], throttle: ["retry_after"] };

let clock = { at: 0, now: 0, speed: 0 };

export function showClock({ now, speed, ahead }) {
  clock = { at: performance.now(), now: Date.parse(now), speed };
  const days = ahead / 86400;
  const lead = ahead < 2 ? "" : days >= 1 ? `${days.toFixed(1)} days ahead` : ahead >= 3600 ? `${(ahead / 3600).toFixed(1)} h ahead` : `${Math.round(ahead / 60)} min ahead`;
  byId("clock-note").textContent = [lead, speed >= 0.01 && speed !== 1 ? `${speed}× speed` : "", speed < 0.01 ? "stands still" : ""].filter(Boolean).join(", ");
  tick();
}

export function tick() {
  if (!clock.at) return;
  const text = new Date(clock.now + (performance.now() - clock.at) * clock.speed).toISOString().slice(0, 19).replace("T", " ");
  if (byId("clock").textContent !== text) byId("clock").textContent = text;
}

export function showLimits({ enforced, windows }) {
  byId("limits-note").textContent = enforced ? "calls in the current windows" : "counted, but not enforced (--limits off)";
  byId("limits-none").hidden = windows.length > 0;
  keep(byId("limits"), windows.map((row, number) => ({ ...row, number })), (row) => `${row.operation} ${row.window} ${row.number}`, (row) =>
    el("tr", {}, el("td", { class: "wide" }, row.operation), el("td", {}, WINDOWS[row.window]),
      el("td", { class: "number" }, `${row.calls} of ${row.allowed} `,
        el("meter", { min: 0, max: row.allowed, low: row.allowed * 0.7, high: row.allowed * 0.9, optimum: 0, value: row.calls, "aria-label": "used" }))));
}

export function showFaults(faults) {
  byId("faults-none").hidden = faults.length > 0;
  byId("clear-faults").hidden = faults.length === 0;
  keep(byId("faults"), faults.map((row, number) => ({ ...row, number })), (row) => row.number, (row) => {
    const spent = row.times !== null && row.fired >= row.times;
    const detail = [row.status && `status ${row.status}`, row.seconds != null && `${row.seconds} s ${row.when}`, row.retry_after != null && `retry after ${row.retry_after} s`, row.skip && `after ${row.skip} more`];
    return el("tr", { class: spent ? "spent" : "" }, el("td", { class: "wide" }, row.operation === "*" ? "any" : row.operation),
      el("td", {}, el("span", { class: "badge warn" }, row.fault), " ", el("span", { class: "note" }, detail.filter(Boolean).join(", "))),
      el("td", { class: "number" }, `${row.fired}${row.times === null ? "" : ` of ${row.times}`}`));
  });
}

// Each control is followed by a look at the state.
export function bindControls(refresh) {
  const control = async (method, path, body) => {
    const answer = await fetch(path, { method, headers: { "Content-Type": "application/json" }, body: body && JSON.stringify(body) });
    await refresh();
    return answer;
  };
  for (const button of document.querySelectorAll("[data-advance]")) {
    button.addEventListener("click", () => control("POST", "/sandbox/clock", { advance: Number(button.dataset.advance) }));
  }
  byId("reset").addEventListener("click", () => {
    if (confirm("Reset the sandbox? Its campaigns, deliveries, requests and faults go, and the clock returns to the real time.")) control("POST", "/sandbox/reset");
  });
  byId("clear-faults").addEventListener("click", () => control("DELETE", "/sandbox/faults"));
  bindFaultForm(byId("add-fault"), control);
}

function bindFaultForm(form, control) {
  const needed = () => NEEDS[form.elements.fault.value] ?? [];
  const showNeeded = () => {
    for (const label of form.querySelectorAll("[data-for]")) label.hidden = !needed().includes(label.dataset.for);
    form.elements.fault.title = form.elements.fault.selectedOptions[0].title;
  };
  form.elements.fault.addEventListener("change", showNeeded);
  showNeeded();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { operation, fault, times } = form.elements;
    const rule = { operation: operation.value.trim(), fault: fault.value, times: Number(times.value) };
    for (const name of needed()) rule[name] = Number(form.elements[name].value);
    const answer = await control("POST", "/sandbox/faults", rule);
    byId("fault-error").textContent = answer.ok ? "" : (await answer.json()).error;
  });
}
