// Making and keeping elements. Text goes in as text, never as HTML.

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return node;
}

// Make a node's content again, but only when its data has changed.
export function fill(node, data, make) {
  const text = JSON.stringify(data);
  if (node.shown === text) return;
  node.shown = text;
  node.replaceChildren(...[make(data)].flat(Infinity).filter(Boolean));
}

// Let a node have one child per item. The child of an unchanged item stays as it is, with its focus and selection.
export function keep(parent, items, keyOf, make) {
  for (const child of [...parent.children]) if (child.keptKey === undefined) child.remove();
  const old = new Map([...parent.children].map((child) => [child.keptKey, child]));
  let next = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    const text = JSON.stringify(item);
    let child = old.get(key);
    old.delete(key);
    if (!child || child.keptText !== text) {
      const fresh = Object.assign(make(item), { keptKey: key, keptText: text });
      if (child) {
        const hadFocus = child.contains(document.activeElement);
        if (child === next) next = fresh;
        child.replaceWith(fresh);
        if (hadFocus) fresh.querySelector("a, button, select")?.focus({ preventScroll: true });
      }
      child = fresh;
    }
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
  }
  for (const child of old.values()) child.remove();
}

export const byId = (id) => document.getElementById(id);

// A name that may go on in the next line after each underscore.
export const breakable = (name) => name.split(/(?<=_)/).flatMap((part, place) => (place ? [document.createElement("wbr"), part] : [part]));
