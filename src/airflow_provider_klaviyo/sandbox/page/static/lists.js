// The lists: campaigns, deliveries, requests.

import { byId, el, keep } from "./dom.js";
import { audience, CHANNELS, more, people, sentTimes, time } from "./text.js";

export function showCampaigns(campaigns, open) {
  byId("campaigns-count").textContent = campaigns.total.toLocaleString("en");
  byId("campaigns-more").textContent = campaigns.total ? more(campaigns) : "No campaign matches.";
  keep(byId("campaigns"), campaigns.shown.map((row) => ({ ...row, open: row.id === open })), (row) => row.id, campaignItem);
}

function campaignItem(row) {
  return el("li", { class: row.times > 1 ? "twice" : "" },
    el("a", { href: `#${row.id}`, "aria-current": row.open ? "true" : null },
      el("b", {}, row.name),
      el("span", { class: "line" },
        el("span", { class: `pill ${row.tone}` }, row.status),
        row.times > 1 && el("span", { class: "badge bad" }, sentTimes(row.times)),
        row.namesakes > 1 && el("span", { class: "badge warn", title: "Campaigns of exactly this name" }, `${row.namesakes} of this name`)),
      el("span", { class: "note" }, `${CHANNELS[row.channel]} · ${row.when} · to ${row.audiences.map(audience).join(", ")}`)));
}

export function showDeliveries(deliveries) {
  byId("deliveries-count").textContent = deliveries.total.toLocaleString("en");
  byId("deliveries-none").hidden = deliveries.total > 0;
  byId("deliveries-more").textContent = more(deliveries);
  keep(byId("deliveries"), deliveries.shown, (row) => `${row.campaign_id} ${row.run}`, deliveryRow);
}

function deliveryRow(row) {
  const others = row.reached - row.addresses.length;
  return el("tr", { class: row.times > 1 ? "twice" : "" },
    el("td", { class: "time" }, time(row.at)),
    el("td", { class: "wide" },
      el("a", { href: `#${row.campaign_id}` }, row.name),
      row.times > 1 && [" ", el("span", { class: "badge bad" }, sentTimes(row.times))]),
    el("td", {}, CHANNELS[row.channel]),
    el("td", { class: "number" }, row.reached === row.of ? row.of.toLocaleString("en") : `${row.reached} of ${row.of}`),
    el("td", { class: "note" }, row.addresses.join(", ") + (others > 0 ? ` and ${others} more` : "")));
}

export function showRequests(requests) {
  byId("requests-count").textContent = requests.total.toLocaleString("en");
  byId("requests-more").textContent = more(requests);
  keep(byId("requests"), requests.shown, (row) => row.number, requestRow);
}

export function requestRow(row) {
  const status = row.status === null ? "no answer" : String(row.status);
  const tone = row.status === null ? "failed" : row.status === 429 ? "going" : row.status >= 400 ? "failed" : row.status >= 300 ? "draft" : "sent";
  return el("tr", {},
    el("td", { class: "time" }, row.at.slice(11, 23)),
    el("td", { class: "wide" },
      el("b", {}, row.operation ?? "unknown"),
      el("span", { class: "path" }, `${row.method} ${row.path}${row.query ? `?${row.query}` : ""}`)),
    el("td", {}, el("span", { class: `pill ${tone}` }, status)),
    el("td", { class: "tight" }, row.committed ? el("span", { title: "A write took effect" }, "✓ wrote") : ""),
    el("td", {}, row.fault ? el("span", { class: "badge warn" }, row.fault) : ""),
    el("td", { class: "note tight" }, row.revision ?? ""));
}

export function showTwice(twice) {
  keep(byId("alerts"), twice, (row) => row.id, (row) =>
    el("p", { class: "alert" }, el("strong", {}, `${row.times === 2 ? "Sent twice" : `Sent ${row.times} times`}: `),
      el("a", { href: `#${row.id}` }, row.name), ` — ${people(row.again)} got it more than once.`));
  const badge = byId("twice-badge");
  badge.hidden = twice.length === 0;
  badge.textContent = twice.length === 1 ? "1 double send" : `${twice.length} double sends`;
  badge.href = twice.length ? `#${twice[0].id}` : "#";
  document.title = `${twice.length ? "⚠ " : ""}Klaviyo sandbox`;
}
