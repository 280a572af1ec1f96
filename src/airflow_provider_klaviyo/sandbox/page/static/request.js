// One request and its answer.

import { copyButton } from "./copy.js";
import { breakable, byId, el, fill } from "./dom.js";
import { statusText, statusTone } from "./text.js";
import { when } from "./time.js";

let number;

export const request = {
  begin({ wanted, open }) {
    number = open;
    wanted.number = open;
  },
  show({ request: found }) {
    fill(byId("request"), found, (row) => (row ? whole(row) : missing()));
  },
};

const missing = () => [
  el("h2", {}, "No such request"),
  el("p", {}, `There is no request ${number} in the log. The sandbox was reset, or the log has grown beyond it.`),
];

function whole(row) {
  return [
    el("h2", {}, breakable(row.operation ?? "Not an operation of Klaviyo")),
    el("p", { class: "line" },
      el("span", { class: `pill ${statusTone(row.status)}` }, statusText(row.status)),
      row.committed ? el("span", { class: "note" }, "✓ a write took effect") : el("span", { class: "note" }, "wrote nothing"),
      when(row.at, { real: true, whole: true })),
    row.rule && el("p", { class: "reason warn" }, el("strong", {}, "A fault hit it. "), row.rule),
    row.status === null && !row.rule && el("p", { class: "reason bad" }, "The connection ended without an answer."),
    row.reasons.map((reason) => el("p", { class: "reason bad" }, el("strong", {}, reason.detail),
      el("span", { class: "note" }, [reason.code, reason.at && `at ${reason.at}`].filter(Boolean).join(" ")))),
    el("p", { class: "buttons" },
      row.curl ? copyButton(row.curl, "Copy as curl") : el("span", { class: "note" }, "The log does not have its whole body: no curl command."),
      copyButton(`${location.origin}/requests/${row.number}`, "Copy link"),
      row.older && el("a", { class: "button", href: `/requests/${row.older}` }, "← Older"),
      row.newer && el("a", { class: "button", href: `/requests/${row.newer}` }, "Newer →")),
    row.forgotten && el("p", { class: "note" }, "The log no longer has the rest of it: it keeps the latest 64 MiB."),
    el("div", { class: "sides" },
      el("section", { class: "card" }, el("h3", {}, "Request"),
        el("p", { class: "url" }, `${row.method} ${row.path}${row.query ? `?${row.query}` : ""}`),
        headers(row.headers), body(row.body, "No body.")),
      el("section", { class: "card" }, el("h3", {}, "Answer"),
        headers(row.answer_headers), body(row.answer, row.status === null ? "None: the connection was cut." : "No body."))),
    row.curl && el("details", {}, el("summary", {}, "As curl"), el("pre", { id: "curl" }, row.curl)),
  ];
}

const headers = (given) => el("dl", { class: "headers" },
  Object.entries(given).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));

function body(value, none) {
  if (value === null) return el("p", { class: "note" }, none);
  if (typeof value === "object" && Object.keys(value).join() === "omitted_bytes") {
    return el("p", { class: "note" }, `${value.omitted_bytes.toLocaleString("en")} bytes: too long for the log.`);
  }
  return el("pre", {}, typeof value === "string" ? value : JSON.stringify(value, null, 2));
}
