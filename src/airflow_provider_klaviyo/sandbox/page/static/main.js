// Asks for what this view shows again and again, and shows what has changed. Each view has an address of its own.

import { account } from "./account.js";
import { campaign } from "./campaign.js";
import { campaigns } from "./campaigns.js";
import { bindCopies } from "./copy.js";
import { deliveries } from "./deliveries.js";
import { faults } from "./faults.js";
import { bindHead, pulse, showHead, tick } from "./head.js";
import { request } from "./request.js";
import { requests } from "./requests.js";
import { campaignPath } from "./text.js";

const POLL = 1500;
const VIEWS = { account, campaign, campaigns, deliveries, faults, request, requests };
const { view: name, open } = document.body.dataset;
const view = VIEWS[name];
const wanted = { view: name };
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
    showHead(state);
    view.show(state);
    pulse("beating", "live");
  } catch (error) {
    if (number === asked) pulse("lost", error instanceof TypeError ? "The sandbox does not answer. Trying again …" : String(error));
  }
  if (number === asked && !document.hidden) timer = setTimeout(refresh, POLL);
}

// A link of old, and of Airflow's button: /#<campaign id>.
const old = location.pathname === "/" ? location.hash.slice(1) : "";
if (old && old !== "main") location.replace(campaignPath(decodeURIComponent(old)));
else {
  document.documentElement.classList.add("scripted");
  bindHead(refresh);
  bindCopies();
  view.begin?.({ wanted, open, refresh });
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
  setInterval(tick, 500);
  refresh();
}
