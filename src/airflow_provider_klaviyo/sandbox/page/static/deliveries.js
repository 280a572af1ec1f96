// The list of deliveries.

import { byId, el, keep } from "./dom.js";
import { campaignPath, CHANNELS, more, number, people, sentTimes } from "./text.js";
import { when } from "./time.js";

export const deliveries = {
  show({ deliveries: rows }) {
    byId("deliveries-count").textContent = number(rows.total);
    byId("deliveries-none").hidden = rows.total > 0;
    byId("deliveries-more").textContent = more(rows);
    keep(byId("deliveries"), rows.shown, (row) => `${row.campaign_id} ${row.run}`, item);
  },
};

function item(row) {
  const others = row.reached - row.addresses.length;
  return el("li", { class: row.times > 1 ? "twice" : "" },
    el("a", { href: campaignPath(row.campaign_id) },
      el("b", {}, row.name),
      el("span", { class: "line" },
        el("span", {}, `${CHANNELS[row.channel]} to ${row.reached === row.of ? people(row.of) : `${number(row.reached)} of ${people(row.of)}`}`),
        row.times > 1 && el("span", { class: "badge bad" }, sentTimes(row.times)), when(row.at)),
      el("span", { class: "note" }, row.addresses.join(", ") + (others > 0 ? ` and ${number(others)} more` : ""))));
}
