// Elements, made by hand. Whatever is text goes in as text, never as markup.

/** An element: `on…` are listeners, true is an attribute without a value, false and null are none. A button sends no form
 * unless it says so. */
export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), tag === "button" ? { type: "button", ...attributes } : attributes, children);
}

/** The same for SVG. */
export function s(tag, attributes, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else set(element, name, value);
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Sets or takes away one attribute, and touches nothing that is so already. */
export function set(element, name, value) {
  const wanted = value === true ? "" : value === false || value === null || value === undefined ? null : String(value);
  if (element.getAttribute(name) === wanted) return;
  if (wanted === null) element.removeAttribute(name);
  else element.setAttribute(name, wanted);
}

/** Gives an element another text, if it is another. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Calls `run` once things have been quiet for `ms`; `.now()` at once. */
export function settled(ms, run) {
  let timer = 0;
  const later = (...values) => {
    clearTimeout(timer);
    timer = setTimeout(run, ms, ...values);
  };
  later.now = (...values) => {
    clearTimeout(timer);
    run(...values);
  };
  return later;
}
