// Numbers and elements. Everything that the program says becomes a text node: nothing of it is ever parsed as HTML.

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

function step(value) {
  let at = 0;
  for (let v = Math.abs(value); at + 1 < UNITS.length && v >= (at === 0 ? 1023.5 : 1023.95); v /= 1024) at++;
  return at;
}

const fixed = (value, at) => (value / 1024 ** at).toFixed(at > 0 ? 1 : 0);

/** `412.3 ± 3.1 MiB`; without an error `412.3 MiB`. A minus is U+2212, as wide as a plus. */
export function bytes(value, error) {
  if (value === null || value === undefined) return '–';
  const sign = value < 0 ? '−' : '';
  if (error === undefined || error === null || error === 0) {
    const at = step(value);
    return `${sign}${fixed(Math.abs(value), at)} ${UNITS[at]}`;
  }
  const at = step(Math.max(Math.abs(value), error));
  const small = at > 0 ? 0.05 : 0.5;
  const shown = error / 1024 ** at < small ? `<${small}` : fixed(error, at);
  return `${sign}${fixed(Math.abs(value), at)} ± ${shown} ${UNITS[at]}`;
}

export const change = (value, error) => (value > 0 ? '+' : '') + bytes(value, error);

export function count(value) {
  if (value === null || value === undefined) return '–';
  return (value < 0 ? '−' : '') + Math.abs(Math.round(value)).toString().replace(/\B(?=(\d{3})+$)/g, ',');
}

export const countChange = value => (value > 0 ? '+' : '') + count(value);

export function percent(part, whole) {
  return whole ? `${(part * 100 / whole).toFixed(1)}%` : '–';
}

export function duration(seconds) {
  const s = Math.round(seconds), two = n => String(n).padStart(2, '0');
  if (seconds < 0.9995) return seconds < 0.001 ? `${(seconds * 1e6).toFixed(0)} µs` : `${(seconds * 1e3).toFixed(1)} ms`;
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)}m ${two(s % 60)}s`;
  if (s < 86400) return `${Math.floor(s / 3600)}h ${two(Math.floor(s / 60) % 60)}m`;
  return `${Math.floor(s / 86400)}d ${Math.floor(s / 3600) % 24}h`;
}

/** The time of day, with the date where `span` (ms) is more than a day. */
export function clock(ms, span) {
  const at = new Date(ms), two = n => String(n).padStart(2, '0');
  const time = `${two(at.getHours())}:${two(at.getMinutes())}`;
  if (span > 86400e3) return `${at.getMonth() + 1}/${at.getDate()} ${time}`;
  return span > 3600e3 ? time : `${time}:${two(at.getSeconds())}`;
}

/** The useful end of a path. */
export function shortFile(file) {
  const parts = file.split('/');
  return parts.length > 3 ? `…/${parts.slice(-3).join('/')}` : file;
}

export function place(file, line) {
  return file ? file + (line > 0 ? `:${line}` : '') : '';
}

export const $ = id => document.getElementById(id);

/** `el('td', {class: 'number'}, 'text', child…)`; SVG elements by `svg`. */
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children.filter(child => child !== null && child !== undefined));
  return element;
}

export function table(heads, rows) {
  const head = el('tr', {}, ...heads.map(([text, cls]) => el('th', { scope: 'col', class: cls ?? '' }, text)));
  return el('table', {}, el('thead', {}, head), el('tbody', {}, ...rows));
}
