// The two shortcuts every file here needs. Text only ever goes in as text, never as markup.
export const $ = (id) => document.getElementById(id);

export function make(tag, props = {}, ...children) {
  const el = Object.assign(document.createElement(tag), props);
  el.append(...children);
  return el;
}
