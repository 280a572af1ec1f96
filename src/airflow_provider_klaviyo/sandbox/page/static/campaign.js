// The open campaign: what its recipients see, who they are, what has happened and what is coming.

import { byId, el, fill, keep } from "./dom.js";
import { requestRow } from "./lists.js";
import { audience, CHANNELS, more, people, sentTimes, time } from "./text.js";

export function showCampaign(id, campaign, readAs) {
  const panel = byId("campaign");
  panel.hidden = !id;
  if (panel.campaign !== id || panel.missing !== (campaign === null)) {
    panel.campaign = id;
    panel.missing = campaign === null;
    panel.replaceChildren(...(id ? (campaign === null ? missing(id) : skeleton(readAs)) : []));
  }
  if (id && campaign) update(panel, campaign);
}

const close = () => el("a", { class: "close", href: "#", title: "Close", "aria-label": "Close the campaign" }, "×");

const missing = (id) => [
  el("div", { class: "card" }, close(), el("h2", { tabindex: "-1" }, "No such campaign"),
    el("p", {}, "There is no campaign ", el("code", {}, id), " here. It was deleted, or the sandbox was reset.")),
];

function skeleton(readAs) {
  const part = (name, ...children) => el("div", { "data-part": name }, ...children);
  return [
    el("div", { class: "card" }, close(), part("head"), part("facts"),
      el("div", { class: "sides" },
        el("div", {}, el("h3", {}, "What a recipient sees"),
          el("label", { class: "reader" }, "Seen by ", el("select", { "data-part": "reader", onchange: (event) => readAs(event.target.value) })),
          part("messages")),
        el("div", {},
          el("h3", {}, "Who got it"), part("deliveries"),
          el("h3", {}, "Who would get it now"), part("recipients"),
          el("h3", {}, "What happened, sandbox clock"), el("ol", { class: "history", "data-part": "history" }))),
      el("h3", {}, "Its API calls ", el("span", { class: "count", "data-part": "calls-count" })),
      el("div", { class: "scroll calls", tabindex: "0", role: "region", "aria-label": "API calls of the campaign" },
        el("table", {}, el("tbody", { "data-part": "calls" }))),
      el("p", { class: "note more", "data-part": "calls-more" })),
  ];
}

function update(panel, campaign) {
  const part = (name) => panel.querySelector(`[data-part="${name}"]`);
  const { id, name, status, tone, channel, when, audiences, excluded, tags, smart_sending: smart, estimation } = campaign;
  const { recipients, deliveries, history, coming, calls, messages, reader } = campaign;
  fill(part("head"), { id, name, status, tone, times: deliveries.length }, head);
  fill(part("facts"), { channel, when, audiences, excluded, tags, smart, estimation }, facts);
  fill(part("reader"), { shown: recipients.shown, reader }, readers);
  part("reader").parentElement.hidden = recipients.total === 0;
  keep(part("messages"), messages, (message) => message.id, message);
  fill(part("deliveries"), deliveries, delivered);
  fill(part("recipients"), recipients, reached);
  const events = [...history, ...(coming.length ? [{ until: true }] : []), ...coming.map((event) => ({ ...event, coming: true }))];
  keep(part("history"), events.map((event, number) => ({ ...event, number })), (event) => event.number, happened);
  part("calls-count").textContent = calls.total.toLocaleString("en");
  part("calls-more").textContent = calls.total ? more(calls) : "No request has mentioned it yet.";
  keep(part("calls"), calls.shown, (row) => row.number, requestRow);
}

const head = ({ id, name, status, tone, times }) => [
  el("h2", { tabindex: "-1" }, name),
  el("p", { class: "line" }, el("span", { class: `pill ${tone}` }, status),
    times > 1 && el("span", { class: "badge bad" }, sentTimes(times)), el("code", {}, id)),
];

function facts({ channel, when, audiences, excluded, tags, smart, estimation }) {
  const rows = [
    ["Channel", CHANNELS[channel]],
    ["Goes out", when],
    ["To", audiences.map(audience).join(", ")],
    ["Not to", excluded.map(audience).join(", ")],
    ["Estimated", estimation && (estimation.status === "complete" ? people(estimation.count) : "counting …")],
    ["Smart sending", smart ? "on" : "off"],
    ["Tags", tags.join(", ")],
  ];
  return el("dl", {}, rows.filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

const readers = ({ shown, reader }) => shown.map((address) => el("option", { selected: address === reader }, address));

function message(message) {
  if (message.channel === "email") return email(message);
  if (message.channel === "sms") return sms(message);
  return message.silent ? silent(message) : push(message);
}

function email({ from, reply_to: replyTo, subject, preview, html, text }) {
  const row = (name, value) => value && el("div", {}, el("dt", {}, name), el("dd", {}, value));
  // Links point nowhere: a frame without allow-popups opens no window.
  const frame = html !== null && el("iframe", { sandbox: "", title: `Preview of ${subject ?? "the email"}`, srcdoc: `<base target="_blank">${html}` });
  return el("article", { class: "mail" },
    el("dl", {}, row("From", from), row("Reply to", replyTo), row("Subject", el("b", {}, subject ?? "no subject")), row("Preview", preview)),
    frame || el("p", { class: "note empty" }, "No template is assigned yet. Without one it cannot be sent."),
    text && el("details", {}, el("summary", {}, "Plain text"), el("pre", { tabindex: "0" }, text)),
    frame && el("p", { class: "note" }, "Scripts, links and whatever lies on other hosts are off in this preview."));
}

const OPTIONS = {
  shorten_links: "shortens links",
  add_org_prefix: "puts the organisation's name in front",
  add_info_link: "adds an information link",
  add_opt_out_language: "says how to opt out",
};

function sms({ body, options, image }) {
  return el("article", { class: "phone" },
    image && el("p", { class: "picture" }, `Image: ${image}`),
    el("p", { class: "bubble" }, body || "no body yet"),
    options.length > 0 && el("p", { class: "note" }, `Klaviyo ${options.map((name) => OPTIONS[name] ?? name).join(", ")}.`));
}

function push({ title, body, buttons, opens, data, image }) {
  return el("article", { class: "phone" },
    el("div", { class: "notification" }, el("b", {}, title ?? ""), el("p", {}, body ?? ""),
      image && el("p", { class: "picture" }, `Image: ${image}`),
      buttons.length > 0 && el("p", { class: "actions" }, buttons.map((label) => el("span", {}, label)))),
    el("p", { class: "note" }, `Opens: ${Object.values(opens).join(" ")}`),
    data && el("p", { class: "note" }, "Data for the app:"),
    data && el("pre", { tabindex: "0" }, JSON.stringify(data, null, 2)));
}

const silent = ({ data }) => el("article", { class: "phone" },
  el("p", { class: "note" }, "A silent push: nothing is seen; the app gets this."),
  el("pre", { tabindex: "0" }, JSON.stringify(data, null, 2)));

function delivered(deliveries) {
  if (!deliveries.length) return el("p", { class: "note empty" }, "Nobody: it has not been sent here.");
  return deliveries.map((row) => el("details", { class: deliveries.length > 1 ? "twice" : "", open: row.of <= 12 },
    el("summary", {}, `${time(row.at)} · ${row.reached === row.of ? people(row.of) : `${row.reached} of ${people(row.of)}`}`),
    addresses(row.addresses, row.reached)));
}

const reached = ({ total, of, shown }) => [
  el("p", {}, el("b", {}, total.toLocaleString("en")), ` of ${of.toLocaleString("en")} in its audiences`,
    total < of ? el("span", { class: "note" }, ": the others are excluded, have not consented or have no address") : ""),
  total > 0 && el("details", {}, el("summary", {}, "Addresses"), addresses(shown, total)),
];

const addresses = (shown, total) => el("ul", { class: "addresses" }, shown.map((address) => el("li", {}, address)),
  total > shown.length && el("li", { class: "note" }, `and ${(total - shown.length).toLocaleString("en")} more`));

const happened = ({ until, at, what, coming }) => until
  ? el("li", { class: "until note" }, "Still to come, if nobody interferes")
  : el("li", { class: coming ? "coming" : "" }, el("span", { class: "time" }, time(at)), el("span", {}, what));
