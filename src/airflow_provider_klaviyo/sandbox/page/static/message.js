// A message as its recipient gets it.

import { el } from "./dom.js";

export function message(message) {
  if (message.channel === "email") return email(message);
  if (message.channel === "sms") return sms(message);
  return message.silent ? silent(message) : push(message);
}

function email(mail) {
  const { from, reply_to: replyTo, subject, preview, html } = mail;
  const row = (name, value) => value && el("div", {}, el("dt", {}, name), el("dd", {}, value));
  return el("article", { class: "mail" },
    el("dl", {}, row("From", from), row("Reply to", replyTo), row("Subject", el("b", {}, subject ?? "no subject")), row("Preview", preview)),
    html === null ? el("p", { class: "note empty" }, "No template is assigned yet. Without one it cannot be sent.") : looks(mail),
    html !== null && findings(mail.findings));
}

// The same mail in four ways. The preview's links point nowhere: a frame without allow-popups opens no window.
function looks({ subject, html, text }) {
  const frame = el("iframe", { sandbox: "", title: `Preview of ${subject ?? "the email"}`, srcdoc: `<base target="_blank">${html}` });
  const source = el("pre", { class: "source", hidden: true }, html);
  const plain = el("pre", { class: "plain", hidden: true }, text || "There is no plain text: mail programs without HTML show nothing.");
  const show = (name) => {
    frame.hidden = !["desktop", "narrow"].includes(name);
    frame.classList.toggle("narrow", name === "narrow");
    source.hidden = name !== "source";
    plain.hidden = name !== "plain";
    for (const button of bar.children) button.setAttribute("aria-pressed", String(button.dataset.look === name));
  };
  const button = (name, words) => el("button", { type: "button", "data-look": name, "aria-pressed": String(name === "desktop"), onclick: () => show(name) }, words);
  const bar = el("div", { class: "looks", role: "group", "aria-label": "How to show the mail" },
    button("desktop", "Desktop"), button("narrow", "Phone"), button("source", "HTML"), button("plain", "Plain text"));
  return el("div", {}, bar, frame, source, plain,
    el("p", { class: "note" }, "Scripts, links and whatever lies on other hosts are off in this preview."));
}

const findings = (found) => el("div", { class: "findings" },
  found.length === 0 ? el("p", { class: "note" }, "✓ Checked: unsubscribe link, links, images, size, tags. Nothing found.") :
    [el("h4", {}, `Check: ${found.length} ${found.length === 1 ? "finding" : "findings"}`),
      el("ul", {}, found.map(({ what, place, quote }) => el("li", {}, what, el("span", { class: "note" }, ` · ${place}`), quote && el("code", {}, quote))))]);

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
    data && el("pre", {}, JSON.stringify(data, null, 2)));
}

const silent = ({ data }) => el("article", { class: "phone" },
  el("p", { class: "note" }, "A silent push: nothing is seen; the app gets this."),
  el("pre", {}, JSON.stringify(data, null, 2)));
