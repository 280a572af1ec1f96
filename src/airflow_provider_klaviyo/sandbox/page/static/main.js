// Asks for the state again and again, and shows what has changed. The open campaign is in the address: /#<campaign id>.

import { bindControls, showClock, showFaults, showLimits, tick } from "./account.js";
import { showCampaign } from "./campaign.js";
import { byId } from "./dom.js";
import { showCampaigns, showDeliveries, showRequests, showTwice } from "./lists.js";

const POLL = 1500;
const TYPING = 150;
const wanted = { open: "", reader: "", campaigns: "", requests: "" };
let asked = 0;
let timer;

async function refresh() {
  clearTimeout(timer);
  const number = ++asked;
  try {
    const answer = await fetch(`/sandbox/state?${new URLSearchParams(wanted)}`);
    if (answer.status === 403) return pulse("lost", "The live view is for the sandbox's own machine. This is how it stood when the page was loaded.");
    const state = await answer.json();
    if (number !== asked) return;
    show(state);
    pulse("beating", "live");
  } catch {
    if (number === asked) pulse("lost", "The sandbox does not answer. Trying again …");
  }
  if (number === asked && !document.hidden) timer = setTimeout(refresh, POLL);
}

function show(state) {
  showTwice(state.twice);
  showClock(state.clock);
  showCampaigns(state.campaigns, wanted.open);
  showDeliveries(state.deliveries);
  showRequests(state.requests);
  showLimits(state.limits);
  showFaults(state.faults);
  showCampaign(wanted.open, state.campaign, readAs);
  byId("connect").hidden = state.requests.total > 0 || wanted.requests !== "" || wanted.open !== "";
}

function pulse(kind, text) {
  const node = byId("pulse");
  node.className = `note ${kind}`;
  if (node.textContent !== text) node.textContent = text;
}

function readAs(address) {
  wanted.reader = address;
  refresh();
}

async function follow() {
  wanted.open = location.hash.slice(1);
  wanted.reader = "";
  await refresh();
  const list = byId("campaigns").parentElement;
  list.scrollTop = 0;
  if (!wanted.open) return;
  list.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  const panel = byId("campaign");
  panel.scrollIntoView({ block: "start" });
  panel.querySelector("h2")?.focus({ preventScroll: true });
}

function bindFilter(id, name) {
  let typing;
  byId(id).addEventListener("input", (event) => {
    wanted[name] = event.target.value;
    clearTimeout(typing);
    typing = setTimeout(refresh, TYPING);
  });
}

document.documentElement.classList.add("scripted");
bindControls(refresh);
bindFilter("find-campaigns", "campaigns");
bindFilter("find-requests", "requests");
addEventListener("hashchange", follow);
document.addEventListener("visibilitychange", () => document.hidden || refresh());
setInterval(tick, 250);
follow();
