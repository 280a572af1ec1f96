// Fields that narrow a list. What is looked for stands in the address, too, so that it can be sent to somebody.

const TYPING = 150;

export function bindFilters(fields, { wanted, refresh }) {
  const given = new URLSearchParams(location.search);
  let typing;
  for (const [name, field] of Object.entries(fields)) {
    field.value = given.get(name) ?? "";
    wanted[name] = field.value;
    field.addEventListener("input", () => {
      wanted[name] = field.value.trim();
      clearTimeout(typing);
      typing = setTimeout(() => {
        keepAddress(name, wanted[name]);
        refresh();
      }, TYPING);
    });
  }
}

function keepAddress(name, value) {
  const asked = new URLSearchParams(location.search);
  if (value) asked.set(name, value);
  else asked.delete(name);
  history.replaceState(null, "", `${location.pathname}${asked.size ? `?${asked}` : ""}${location.hash}`);
}
