// How values are worded.

export const CHANNELS = { email: "Email", sms: "SMS", mobile_push: "Push" };

export const number = (count) => count.toLocaleString("en");

export const people = (count) => (count === 1 ? "1 recipient" : `${number(count)} recipients`);

export const sentTimes = (times) => (times === 2 ? "sent twice" : `sent ${times} times`);

export const more = ({ total, shown }) => (total > shown.length ? `${number(total - shown.length)} older ones are not shown` : "");

export const audience = ({ id, name, count }) => (name === null ? `${id} (deleted)` : `${name} (${number(count)})`);

export const campaignPath = (id) => `/campaigns/${encodeURIComponent(id)}`;

export const statusTone = (status) =>
  status === null ? "failed" : status === 429 ? "going" : status >= 400 ? "failed" : status >= 300 ? "draft" : "sent";

export const statusText = (status) => (status === null ? "cut" : String(status));
