// The faults, the rate limits, and the controls.

import { breakable, byId, el, keep } from "./dom.js";
import { advance } from "./head.js";
import { number } from "./text.js";
import { when } from "./time.js";

const WINDOWS = { burst: "per second", steady: "per minute", daily: "per day" };
const FIELDS = { status_before_commit: ["status", "retry_after"], status_after_commit: ["status", "retry_after"], delay: ["seconds", "when"], throttle: ["retry_after"], stale: ["reads"] };
const COUNTS = ["status", "seconds", "retry_after"];

export const faults = {
  begin({ refresh }) {
    const control = async (method, path, body) => {
      const answer = await fetch(path, { method, headers: { "Content-Type": "application/json" }, body: body && JSON.stringify(body) });
      await refresh();
      return answer;
    };
    for (const button of document.querySelectorAll("[data-advance]")) {
      button.addEventListener("click", async () => { await advance(Number(button.dataset.advance)); refresh(); });
    }
    byId("reset").addEventListener("click", () => {
      if (confirm("Reset the sandbox? Its campaigns, deliveries, requests and faults go, and the clock returns to the real time.")) control("POST", "/sandbox/reset");
    });
    byId("clear-faults").addEventListener("click", () => control("DELETE", "/sandbox/faults"));
    bindForm(byId("add-fault"), control);
  },
  show({ faults: rules, limits }) {
    showFaults(rules);
    showLimits(limits);
  },
};

function showFaults(rules) {
  byId("faults-none").hidden = rules.length > 0;
  byId("clear-faults").hidden = rules.length === 0;
  keep(byId("faults"), rules.map((row, place) => ({ ...row, place })), (row) => row.place, (row) =>
    el("li", { class: row.times !== null && row.fired >= row.times ? "spent" : "" },
      el("span", { class: "badge warn" }, row.fault), " ", el("span", {}, row.words), " ",
      el("span", { class: "note fired" }, row.times === null ? `Has hit ${row.fired}.` : `Has hit ${row.fired} of ${row.times}.`)));
}

function showLimits({ enforced, windows }) {
  byId("limits-note").textContent = enforced ? "counted on the real clock; a call too many is answered with 429" : "counted, but not enforced (--limits off)";
  byId("limits-none").hidden = windows.length > 0;
  const order = Object.keys(WINDOWS);
  const rows = new Map();
  windows.forEach((row) => {
    const known = rows.get(row.operation) ?? rows.set(row.operation, { operation: row.operation, last: row.last, windows: [] }).get(row.operation);
    known.windows.push(row);
    if (row.last > known.last) known.last = row.last;
  });
  for (const row of rows.values()) row.windows.sort((a, b) => order.indexOf(a.window) - order.indexOf(b.window));
  keep(byId("limits"), [...rows.values()], (row) => row.operation, (row) =>
    el("li", { class: "limit" }, el("b", {}, breakable(row.operation)),
      el("span", { class: "note end" }, "last called ", when(row.last, { real: true })),
      el("span", { class: "meters" }, row.windows.map((one) => el("span", { class: "meter" },
        `${number(one.calls)} of ${number(one.allowed)} ${WINDOWS[one.window]} `,
        el("meter", { min: 0, max: one.allowed, low: one.allowed * 0.7, high: one.allowed * 0.9, optimum: 0, value: one.calls, "aria-label": `${row.operation} ${WINDOWS[one.window]}` }))))));
}

function bindForm(form, control) {
  const needed = () => FIELDS[form.elements.fault.value] ?? [];
  const showNeeded = () => {
    const fields = needed();
    for (const label of form.querySelectorAll("[data-for]")) {
      const name = label.dataset.for;
      label.hidden = name === "times" ? fields.includes("reads") : !fields.includes(name);
    }
    const { times, reads, forever, fault, operation } = form.elements;
    times.disabled = reads.disabled = forever.checked;
    byId("fault-meaning").textContent = `It ${fault.selectedOptions[0].title.replaceAll("`", "")}.`;
    if (fault.value === "stale" && operation.value === "send_campaign") operation.value = "*";
  };
  for (const name of ["fault", "forever"]) form.elements[name].addEventListener("change", showNeeded);
  showNeeded();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { operation, fault, times, reads, forever, skip } = form.elements;
    const rule = { operation: operation.value.trim(), fault: fault.value, skip: Number(skip.value) };
    for (const name of needed()) {
      const value = form.elements[name].value;
      if (value !== "" && name !== "reads") rule[name] = COUNTS.includes(name) ? Number(value) : value;
    }
    const count = needed().includes("reads") ? "reads" : "times";
    rule[count] = forever.checked ? null : Number((count === "reads" ? reads : times).value);
    const answer = await control("POST", "/sandbox/faults", rule);
    byId("fault-error").textContent = answer.ok ? "" : (await answer.json()).error;
  });
}
