// The open campaign: what its recipients see, who they are and why, what has happened and what is coming.

import { byId, el, fill, keep } from "./dom.js";
import { message } from "./message.js";
import { requestItem } from "./requests.js";
import { audience, CHANNELS, more, number, people, sentTimes } from "./text.js";
import { when } from "./time.js";

let page;

export const campaign = {
  begin(given) {
    page = given;
    page.wanted.open = page.open;
    page.wanted.reader = "";
  },
  show({ campaign: found }) {
    const panel = byId("campaign");
    if (panel.missing !== (found === null)) {
      panel.missing = found === null;
      panel.replaceChildren(...(found === null ? missing() : skeleton()));
    }
    if (found) update(panel, found);
  },
};

const missing = () => [
  el("h2", {}, "No such campaign"),
  el("p", {}, "There is no campaign ", el("code", {}, page.open), " here. It was deleted, or the sandbox was reset."),
];

function readAs(address) {
  page.wanted.reader = address;
  page.refresh();
}

function skeleton() {
  const part = (name, ...children) => el("div", { "data-part": name }, ...children);
  return [
    part("head"), part("facts"),
    el("div", { class: "sides" },
      el("section", { class: "card" }, el("h3", {}, "What a recipient sees"),
        el("label", { class: "reader" }, "Seen by ", el("select", { "data-part": "reader", onchange: (event) => readAs(event.target.value) })),
        part("messages")),
      el("div", {},
        el("section", { class: "card" }, el("h3", {}, "What happened"), el("ol", { class: "history", "data-part": "history" })),
        el("section", { class: "card" },
          el("h3", {}, "Who got it"), part("deliveries"),
          el("h3", {}, "Who would get it now, and why"), part("people")))),
    el("div", { class: "heading" }, el("h3", {}, "Its API calls ", el("span", { class: "count", "data-part": "calls-count" })),
      el("a", { class: "note", href: `/requests?campaign=${encodeURIComponent(page.open)}` }, "filter them")),
    el("ul", { class: "rows", "data-part": "calls" }),
    el("p", { class: "note more", "data-part": "calls-more" }),
  ];
}

function update(panel, campaign) {
  const part = (name) => panel.querySelector(`[data-part="${name}"]`);
  const { id, name, status, tone, channel, when: goes, audiences, excluded, tags, smart_sending: smart, estimation } = campaign;
  const { recipients, people: members, deliveries, history, coming, calls, messages, reader } = campaign;
  fill(part("head"), { id, name, status, tone, times: deliveries.length }, head);
  fill(part("facts"), { channel, goes, audiences, excluded, tags, smart, estimation }, facts);
  fill(part("reader"), { shown: recipients.shown, reader }, readers);
  part("reader").parentElement.hidden = recipients.total === 0;
  keep(part("messages"), messages, (one) => one.id, message);
  fill(part("deliveries"), deliveries, delivered);
  fill(part("people"), members, reached);
  const events = [...history, ...(coming.length ? [{ until: true }] : []), ...coming.map((event) => ({ ...event, coming: true }))];
  keep(part("history"), events.map((event, place) => ({ ...event, place })), (event) => event.place, happened);
  part("calls-count").textContent = number(calls.total);
  part("calls-more").textContent = calls.total ? more(calls) : "No request has mentioned it yet.";
  keep(part("calls"), calls.shown, (row) => row.number, requestItem);
}

const head = ({ id, name, status, tone, times }) => [
  el("h2", {}, name),
  el("p", { class: "line" }, el("span", { class: `pill ${tone}` }, status),
    times > 1 && el("span", { class: "badge bad" }, sentTimes(times)), el("code", {}, id)),
];

function facts({ channel, goes, audiences, excluded, tags, smart, estimation }) {
  const rows = [
    ["Channel", CHANNELS[channel]],
    ["Goes out", goes],
    ["To", audiences.map(audience).join(", ")],
    ["Not to", excluded.map(audience).join(", ")],
    ["Estimated", estimation && (estimation.status === "complete" ? people(estimation.count) : "counting …")],
    ["Smart sending", smart ? "on" : "off"],
    ["Tags", tags.join(", ")],
  ];
  return el("dl", { class: "facts" }, rows.filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

const readers = ({ shown, reader }) => shown.map((address) => el("option", { selected: address === reader }, address));

function delivered(deliveries) {
  if (!deliveries.length) return el("p", { class: "note empty" }, "Nobody: it has not been sent here.");
  return deliveries.map((row) => el("details", { class: deliveries.length > 1 ? "twice" : "" },
    el("summary", {}, when(row.at, { whole: true }), ` · ${row.reached === row.of ? people(row.of) : `${number(row.reached)} of ${people(row.of)}`}`),
    el("ul", { class: "addresses" }, row.addresses.map((address) => el("li", {}, address)),
      row.reached > row.addresses.length && el("li", { class: "note" }, `and ${number(row.reached - row.addresses.length)} more`))));
}

const reached = ({ total, counts, shown }) => [
  el("ul", { class: "reasons" }, Object.entries(counts).map(([reason, count]) =>
    el("li", {}, el("b", {}, number(count)), ` ${reason}`))),
  total === 0 && el("p", { class: "note" }, "Nobody is in its audiences."),
  total > 0 && el("details", {}, el("summary", {}, "By name, and why"),
    el("ul", { class: "people" }, shown.map((row) => el("li", { class: row.reason === "get it" ? "in" : "out" },
      el("b", {}, row.name || row.address || row.id), " ", el("span", { class: "note" }, row.name ? row.address : ""),
      el("span", { class: "why" }, row.why)))),
    total > shown.length && el("p", { class: "note" }, `and ${number(total - shown.length)} more`)),
];

const happened = ({ until, at, what, detail, coming }) => until
  ? el("li", { class: "until note" }, "Still to come, if nobody interferes")
  : el("li", { class: coming ? "coming" : "" }, when(at, { whole: true }), el("span", {}, what, detail && el("span", { class: "note" }, ` · ${detail}`)));
