// What the account holds, one kind at a time.

import { copyButton } from "./copy.js";
import { byId, el, keep } from "./dom.js";
import { bindFilters } from "./filter.js";
import { number } from "./text.js";

const NAMES = { lists: "Lists", segments: "Segments", templates: "Templates", profiles: "Profiles", tags: "Tags", images: "Images", metrics: "Metrics" };

export const account = {
  begin(page) {
    page.wanted.kind = new URLSearchParams(location.search).get("kind") ?? "";
    bindFilters({ find: byId("find-holdings") }, page);
  },
  show({ holdings }) {
    const kinds = Object.entries(holdings.kinds).map(([kind, count]) => ({ kind, count, here: kind === holdings.kind }));
    keep(byId("kinds"), kinds, (row) => row.kind, (row) =>
      el("a", { href: `/account?kind=${row.kind}`, "aria-current": row.here ? "true" : null }, NAMES[row.kind], " ", el("span", { class: "count" }, number(row.count))));
    byId("kind-title").textContent = NAMES[holdings.kind];
    byId("holdings-count").textContent = number(holdings.total);
    byId("holdings-more").textContent = holdings.total === 0 ? "None." :
      holdings.total > holdings.shown.length ? `${number(holdings.total - holdings.shown.length)} more are not shown: look for them by name, id or address.` : "";
    keep(byId("holdings"), holdings.shown, (row) => row.id, item);
  },
};

const item = (row) => el("li", { class: "holding" },
  el("b", {}, row.name || "without a name"),
  el("span", { class: "line end" }, el("code", {}, row.id), copyButton(row.id, "Copy id", `Copy the id ${row.id}`)),
  (row.detail || row.used) && el("span", { class: "note" }, row.detail, row.detail && row.used ? " · " : "", row.used && el("em", {}, row.used)));
