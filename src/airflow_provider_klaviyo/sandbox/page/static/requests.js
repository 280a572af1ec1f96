// The request log.

import { breakable, byId, el, keep } from "./dom.js";
import { bindFilters } from "./filter.js";
import { more, number, statusText, statusTone } from "./text.js";
import { when } from "./time.js";

export const requests = {
  begin(page) {
    const { status, operation, campaign, requests: text } = byId("filters").elements;
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    bindFilters({ status, operation, campaign, requests: text }, page);
  },
  show({ requests: rows }) {
    byId("requests-count").textContent = number(rows.total);
    byId("requests-more").textContent = rows.total ? more(rows) : "No request matches, or none has come in.";
    keep(byId("requests"), rows.shown, (row) => row.number, requestItem);
  },
};

export function requestItem(row) {
  return el("li", {},
    el("a", { href: `/requests/${row.number}`, class: "request" },
      el("span", { class: `pill ${statusTone(row.status)}` }, statusText(row.status)),
      el("b", {}, breakable(row.operation ?? "unknown")),
      el("span", { class: "line end" },
        row.fault && el("span", { class: "badge warn" }, row.fault),
        row.committed && el("span", { class: "note", title: "A write took effect" }, "✓ wrote"),
        when(row.at, { real: true })),
      el("span", { class: "path" }, `${row.method} ${row.path}${row.query ? `?${row.query}` : ""}`)));
}
