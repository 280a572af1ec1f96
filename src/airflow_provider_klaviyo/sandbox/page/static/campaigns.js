// The list of campaigns.

import { byId, el, keep } from "./dom.js";
import { bindFilters } from "./filter.js";
import { audience, campaignPath, CHANNELS, more, number, sentTimes } from "./text.js";

export const campaigns = {
  begin(page) {
    bindFilters({ campaigns: byId("find-campaigns") }, page);
  },
  show({ campaigns: rows, counts }) {
    byId("campaigns-count").textContent = number(rows.total);
    byId("campaigns-more").textContent = rows.total ? more(rows) : "No campaign matches.";
    byId("connect").hidden = counts.requests > 0;
    keep(byId("campaigns"), rows.shown, (row) => row.id, item);
  },
};

function item(row) {
  return el("li", { class: row.times > 1 ? "twice" : "" },
    el("a", { href: campaignPath(row.id) },
      el("b", {}, row.name),
      el("span", { class: "line" },
        el("span", { class: `pill ${row.tone}` }, row.status),
        row.times > 1 && el("span", { class: "badge bad" }, sentTimes(row.times)),
        row.namesakes > 1 && el("span", { class: "badge warn", title: "Campaigns of exactly this name" }, `${row.namesakes} of this name`)),
      el("span", { class: "note" }, `${CHANNELS[row.channel]} · ${row.when} · to ${row.audiences.map(audience).join(", ")}`)));
}
