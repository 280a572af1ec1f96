// How values are worded.

export const CHANNELS = { email: "Email", sms: "SMS", mobile_push: "Push" };

export const time = (iso) => iso.slice(0, 19).replace("T", " ");

export const people = (count) => (count === 1 ? "1 recipient" : `${count.toLocaleString("en")} recipients`);

export const sentTimes = (times) => (times === 2 ? "sent twice" : `sent ${times} times`);

export const more = ({ total, shown }) =>
  total > shown.length ? `${(total - shown.length).toLocaleString("en")} older ones are not shown` : "";

export const audience = ({ id, name, count }) => (name === null ? `${id} (deleted)` : `${name} (${count.toLocaleString("en")})`);
