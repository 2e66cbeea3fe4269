// What grows, a card for each line, and what may be done.
import { births, survival } from './charts.js';
import { $, bytes, change, count, duration, el, percent, place, table } from './text.js';

const SPANS = [[1, '/s'], [60, '/min'], [3600, '/h'], [86400, '/day']];

/** `1.9 ± 0.1 MiB/min`, in the span of time that makes the number readable. */
export function rate(value, per) {
  if (per !== 'second') return `${bytes(value.bytes, value.std_error)} per ${per}`;
  const [factor, unit] = SPANS.find(([factor]) => value.bytes * factor >= 256 << 10) ?? SPANS[3];
  return `${bytes(value.bytes * factor, value.std_error * factor)}${unit}`;
}

const CLASS = { leak: 'leak', filling: 'may be filling', burst: 'burst', 'start-up': 'start-up', 'working-set': 'working set' };
export const className = name => CLASS[name] ?? name;

const lines = n => (n === 1 ? '1 line' : `${count(n)} lines`);

function advice(rows) {
  return rows.map(row => el('details', { class: 'advice' }, el('summary', {}, row.title),
    el('p', {}, row.why), el('p', {}, el('b', {}, 'Fix: '), row.fix)));
}

function card(suspect, findings, longest) {
  const facts = [];
  const fact = (name, text) => facts.push(el('dt', {}, name), el('dd', {}, text));
  if (suspect.rate) fact('grows by', `${rate(suspect.rate, findings.per)}, ${percent(suspect.share, 1)} of all growth`);
  if (findings.uptime_nanos) fact('since', `${duration(suspect.since_nanos / 1e9)} after the start, ${duration((findings.uptime_nanos - suspect.since_nanos) / 1e9)} ago`);
  fact('live', `${bytes(suspect.live_bytes, suspect.live_error)} in ${count(suspect.samples)} samples`);
  if (suspect.class === 'leak') {
    const p = 1 - suspect.confidence;
    fact('by chance', `${p < 1e-6 ? 'less than once in a million' : `p = ${p.toExponential(1)}`}, of ${lines(findings.judged)} judged`);
  }
  if (suspect.trend) fact('trend', `${rate(suspect.trend.slope, findings.per)} between the profiles, p = ${suspect.trend.p.toExponential(1)}`);
  if (suspect.looks_like_leak) fact('or', `a cache on its way to its cap, which may take ${duration(longest / 1e9)}`);
  const charts = [];
  const chart = (title, drawing) => charts.push(el('figure', {}, drawing, el('figcaption', {}, title)));
  if (suspect.cohorts.length) chart('live bytes by birth', births(suspect.cohorts));
  if (suspect.survival.length > 1) chart('lives longer than an age', survival(suspect.survival));
  const at = suspect.place;
  return el('article', { class: `finding ${suspect.class}` },
    el('h3', {}, suspect.looks_like_leak ? 'like a leak' : className(suspect.class)),
    el('p', { class: 'name' }, at.function),
    el('p', { class: 'place' }, place(at.file, at.line)),
    el('div', { class: 'finding-body' }, el('dl', { class: 'facts' }, ...facts), el('div', { class: 'figures' }, ...charts)),
    ...advice(suspect.advice));
}

export function findings(verdict) {
  const { findings, crates } = verdict;
  const growing = [...findings.leaks, ...findings.filling];
  $('findings-panel').hidden = growing.length === 0 && findings.advice.length === 0;
  const more = growing.slice(5).map(suspect => card(suspect, findings, verdict.longest_fill_nanos));
  $('findings').replaceChildren(...growing.slice(0, 5).map(suspect => card(suspect, findings, verdict.longest_fill_nanos)),
    ...(more.length ? [el('details', {}, el('summary', {}, `${count(more.length)} more that grow`), ...more)] : []));
  $('findings-about').textContent = `${lines(findings.judged)} could be judged`;
  $('crates').textContent = crates.length ? `Growth by crate: ${crates.map(row => `${row.name || '(unknown)'} ${percent(row.share, 1)}`).join(', ')}` : '';
  $('advice').replaceChildren(...advice(findings.advice));
}

export function verdict(data) {
  const found = data.verdict;
  $('verdict-word').textContent = found ? found.sentence : 'No verdict';
  $('verdict-word').className = !found || found.cause === 'unknown' ? '' : found.cause === 'none' ? 'calm' : 'alarm';
  const last = data.profiles[data.profiles.length - 1];
  $('process').textContent = last.origin;
  $('status').textContent = data.by;
  $('verdict-span').textContent = found?.span_nanos ? `within ${duration(found.span_nanos / 1e9)}` : last.uptime_nanos ? `after ${duration(last.uptime_nanos / 1e9)}` : '';
  const others = found ? found.causes.slice(1).map(cause => el('li', {}, cause.sentence)) : [el('li', {}, data.no_verdict)];
  $('causes').replaceChildren(...others);
  const tile = (name, value, hint) => el('div', {}, el('dt', {}, name), el('dd', {}, value), el('dd', {}, hint));
  const tiles = [], now = data.timeline[data.timeline.length - 1], first = data.timeline[0], several = data.timeline.length > 1;
  if (now.live !== null) tiles.push(tile('Live heap', bytes(now.live, now.live_error), several ? `${change(now.live - first.live)} since the first` : 'now'));
  if (now.resident !== null) tiles.push(tile('Resident', bytes(now.resident), several && first.resident !== null ? `${change(now.resident - first.resident)} since the first` : 'now'));
  if (now.free !== null) tiles.push(tile('Free in allocators', bytes(now.free), `${percent(now.free, now.resident)} of what is resident`));
  if (found?.peak_bytes) tiles.push(tile('Peak', bytes(found.peak_bytes), `after ${duration(found.peak_nanos / 1e9)}`));
  $('tiles').replaceChildren(...tiles);
}

export function memoryParts(memory) {
  $('parts-panel').hidden = !memory;
  if (!memory) return;
  const several = memory.resident.base !== null;
  const most = Math.max(1, ...memory.parts.map(part => part.now));
  const grown = row => several && row.base !== null ? row.now - row.base : null;
  const tone = by => by >= 1 << 20 ? 'grow sure' : by <= -(1 << 20) ? 'shrink sure' : '';
  const row = (name, hint, cell, now, by, show) => el('tr', {},
    el('td', {}, name, el('div', { class: 'place' }, hint), cell ? el('span', { class: 'part-bar', style: '' }, cell) : null),
    el('td', { class: 'number' }, show(now)),
    ...(several ? [el('td', { class: `number ${by === null ? '' : tone(by)}` }, by === null ? '–' : `${by > 0 ? '+' : ''}${show(by)}`)] : []));
  const bar = part => {
    const drawing = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    drawing.setAttribute('viewBox', '0 0 100 4');
    drawing.setAttribute('preserveAspectRatio', 'none');
    drawing.setAttribute('aria-hidden', 'true');
    const rect = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
    for (const [key, value] of [['width', Math.max(0, part.now) / most * 100], ['height', 4], ['rx', 1]]) rect.setAttribute(key, value);
    drawing.append(rect);
    return drawing;
  };
  const rows = memory.parts.map(part => row(part.name, part.source, bar(part), part.now, grown(part), bytes));
  rows.push(row(el('b', {}, 'resident'), 'the sum of the parts', null, memory.resident.now, grown(memory.resident), bytes));
  for (const name of ['threads', 'descriptors', 'tasks']) {
    if (memory[name]) rows.push(row(name, '', null, memory[name].now, grown(memory[name]), count));
  }
  $('parts').replaceChildren(table([['Part'], ['Now', 'number'], ...(several ? [['Growth', 'number']] : [])], rows));
}
