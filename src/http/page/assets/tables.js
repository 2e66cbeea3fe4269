// The verdict, and the tables of what changed.
import { $, bytes, change, count, countChange, duration, el, percent, place, shortFile, svg, table } from './text.js';

const WORDS = {
  growing: 'Growing', elsewhere: 'Growing, but not in the live heap', steady: 'Not growing', unknown: 'Too early to tell',
};

export function verdict(diff) {
  const span = (diff.now.time_ms - diff.base.time_ms) / 1000;
  const { word, name, bytes: grown, meaning, live_grew: liveGrew } = diff.verdict;
  const quality = diff.now.exact && diff.base.exact ? 'every allocation recorded' : 'estimated from a sample';
  $('verdict-span').textContent = word === 'unknown' ? 'One moment so far' : `In ${duration(span)}, between the two moments on the chart (${quality})`;
  const title = [];
  if (word === 'growing' || word === 'elsewhere') {
    const error = word === 'growing' ? diff.total.error : null;
    title.push(`${cap(name)} grew by `, el('span', { class: 'grow' }, bytes(grown, error)));
  } else title.push(WORDS[word] ?? word);
  $('verdict-word').replaceChildren(...title);
  $('verdict-lead').textContent = {
    growing: 'The program keeps more than it did. The lines below say where it was allocated.',
    elsewhere: `${cap(meaning ?? '')}.${liveGrew ? ` The live heap grew, too: ${change(diff.total.growth, diff.total.error)}.` : ''}`,
    steady: 'No part of the memory grew by 1 MiB, and by more than chance.',
    unknown: 'The next moment makes a comparison possible.',
  }[word] ?? '';
  const line = diff.lines.find(line => line.growth > 0 && (line.verdict === 'significant' || line.verdict === 'exact'));
  const shown = liveGrew && line;
  $('verdict-line').replaceChildren(...(shown ? [word === 'growing' ? 'Most of it at ' : 'Of the live heap most at ', el('b', {}, line.function),
    `  ${place(shortFile(line.file), line.line)}: ${change(line.growth, line.error)}${line.bound ? ' at least' : ''}`] : []));
  document.title = `${word === 'unknown' ? '' : `${WORDS[word]} · `}heapsite`;
  tiles(diff);
}

const cap = text => text.charAt(0).toUpperCase() + text.slice(1);

/** Whoever tracks none need not hear that there are none. */
const tracksTasks = ({ tasks }) => tasks && tasks.base + tasks.now > 0;

function tiles(diff) {
  const rate = (diff.now.time_ms - diff.base.time_ms) / 1000;
  const tile = (name, now, was) => el('div', {}, el('dt', {}, name), el('dd', {}, now), el('dd', {}, was));
  const memory = diff.memory;
  const part = key => memory?.parts.find(part => part.part === key);
  const held = ['overhead', 'free'].map(part).reduce((sum, it) => ({ now: sum.now + (it?.now ?? 0), growth: sum.growth + (it?.growth ?? 0) }), { now: 0, growth: 0 });
  const tiles = [tile('Live heap', bytes(diff.total.now), change(diff.total.growth, diff.total.error))];
  if (memory) tiles.push(
    tile('Resident', bytes(memory.resident.now), change(memory.resident.growth)),
    tile('Held by allocators', bytes(held.now), change(held.growth)),
    tile('Unexplained', bytes(part('unexplained').now), change(part('unexplained').growth)),
    tile('Threads', count(diff.threads.now), countChange(diff.threads.growth)),
    tile('Descriptors', count(diff.descriptors.now), countChange(diff.descriptors.growth)));
  if (tracksTasks(diff)) tiles.push(tile('Tasks', count(diff.tasks.now), countChange(diff.tasks.growth)));
  if (rate > 0) tiles.push(tile('Allocated', bytes(diff.allocated.growth), `${bytes(diff.allocated.growth / rate)} per second`));
  $('tiles').replaceChildren(...tiles);
}

/** A bar from zero with a whisker of one standard error to both sides. */
function bar(row, most) {
  const sure = row.verdict === 'significant' || row.verdict === 'exact';
  const x = value => Math.min(1, Math.max(0, Math.abs(value) / most)) * 196 + 2;
  const end = x(row.growth), box = svg('svg', { class: 'bar', viewBox: '0 0 200 14', preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  box.append(svg('line', { class: 'zero', x1: 2, x2: 2, y1: 0, y2: 14 }));
  box.append(svg('rect', { class: !sure ? 'unsure' : row.growth < 0 ? 'down' : 'up', x: 2, y: 3, width: Math.max(1, end - 2), height: 8, rx: 1.5 }));
  if (row.error) {
    const size = Math.abs(row.growth), low = x(Math.max(0, size - row.error)), high = x(size + row.error);
    for (const [x1, x2, y1, y2] of [[low, high, 7, 7], [low, low, 3, 11], [high, high, 3, 11]]) box.append(svg('line', { class: 'whisker', x1, x2, y1, y2, 'vector-effect': 'non-scaling-stroke' }));
  }
  return box;
}

function tone(row) {
  if (row.growth === 0) return 'noise';
  if (row.verdict === 'within noise' || row.verdict === 'unknown') return 'noise';
  return row.growth > 0 ? 'grow sure' : 'shrink sure';
}

const VERDICTS = { exact: 'exact', significant: 'more than chance', 'within noise': 'may be chance', unknown: 'error unknown' };

export function lines(diff) {
  const grown = diff.lines.filter(line => line.growth > 0), shrunk = diff.lines.filter(line => line.growth < 0);
  const most = Math.max(1, ...diff.lines.map(line => Math.abs(line.growth) + (line.error ?? 0)));
  const row = line => el('tr', {},
    el('td', {}, el('div', { class: 'name' }, line.function), el('div', { class: 'place', title: line.file }, place(shortFile(line.file), line.line)), bar(line, most)),
    el('td', { class: `number ${tone(line)}` }, change(line.growth, line.error), el('div', { class: 'place' }, (line.bound ? 'at least · ' : '') + VERDICTS[line.verdict])),
    el('td', { class: 'number optional' }, bytes(line.now), el('div', { class: 'place' }, `of ${count(line.now_objects)} objects`)));
  const heads = [['Line to blame'], ['Growth', 'number'], ['Live now', 'number optional']];
  const box = $('lines'), first = 8;
  box.replaceChildren();
  if (!grown.length) box.append(el('p', { class: 'empty' }, diff.base.id === diff.now.id ? 'Two moments are needed: the next one comes soon.' : 'No line holds more than it did.'));
  else box.append(table(heads, grown.slice(0, first).map(row)));
  if (grown.length > first) box.append(el('details', {}, el('summary', {}, `${grown.length - first} more that grew`), table(heads, grown.slice(first).map(row))));
  if (shrunk.length) box.append(el('details', {}, el('summary', {}, `${shrunk.length} that shrank`), table(heads, shrunk.map(row))));
  const other = diff.other_lines;
  const left = diff.lines_left_out ? `${count(diff.lines_left_out)} lines that changed less are not shown. ` : '';
  box.append(el('p', { class: 'hint' }, `${left}All other code: ${change(other.growth, other.error)}.`));
  $('lines-about').textContent = diff.now.exact && diff.base.exact ? 'exact'
    : `± one standard error; “more than chance” holds for all ${count(diff.lines_compared)} lines together (p < ${diff.level})`;
}

export function parts(diff) {
  const box = $('parts'), memory = diff.memory;
  if (!memory) return box.replaceChildren(el('p', { class: 'empty' }, 'This system does not tell where the memory is (no /proc).'));
  const row = (name, hint, base, now, growth, cls) => el('tr', {},
    el('td', {}, name, el('div', { class: 'place' }, hint)),
    el('td', { class: `number ${cls}` }, growth),
    el('td', { class: 'number' }, now, el('div', { class: 'place' }, base)));
  const tone = growth => growth >= 1 << 20 ? 'grow sure' : growth <= -(1 << 20) ? 'shrink sure' : '';
  const rows = memory.parts.map(part => row(part.name, part.source ?? '', `from ${bytes(part.base)}`, bytes(part.now), change(part.growth), tone(part.growth)));
  const total = memory.resident;
  rows.push(row(el('b', {}, 'resident'), 'the sum of the parts', `from ${bytes(total.base)}`, bytes(total.now), change(total.growth), tone(total.growth)));
  for (const [name, counts] of [['threads', diff.threads], ['descriptors', diff.descriptors], ['tasks', diff.tasks]]) {
    if (name === 'tasks' && !tracksTasks(diff)) continue;
    const names = Object.entries(counts.by_name).map(([name, change]) => `${name} ${countChange(change)}`).join(', ');
    rows.push(row(name, names, `from ${count(counts.base)}`, count(counts.now), countChange(counts.growth), counts.growth > 0 ? 'grow sure' : ''));
  }
  box.replaceChildren(table([['Part'], ['Growth', 'number'], ['Now', 'number']], rows));
  $('parts-about').textContent = 'parts add up to what is resident';
}

export function quality(overview, history) {
  const fact = (name, ...text) => [el('dt', {}, name), el('dd', {}, ...text)];
  const { interval, exact, cost, footprint } = overview;
  const how = exact ? 'exact: every allocation is recorded'
    : interval === 0 ? 'nothing is recorded now' : interval === 1 ? 'every allocation is recorded now, but not since the start'
      : `estimated: one sample in ${bytes(interval)} on average; each number has its standard error`;
  const share = overview.share_of_cpu;
  const m = history.moments, n = m.id.length;
  $('quality').replaceChildren(
    ...fact('Numbers', how),
    ...fact('Live', `${bytes(overview.live.bytes, overview.live.bytes_error)} in ${count(overview.live.objects)} objects, from ${count(overview.live.sampled_objects)} samples`),
    ...fact('Peak', bytes(overview.peak_bytes)),
    ...fact('Requested', `${bytes(overview.requested_bytes)} since the start`),
    ...fact('Own time', `${duration(cost.sampled_nanos / 1e9)} in the program’s threads, ${(share * 100).toFixed(share < 0.001 ? 3 : 2)}% of its processor time (estimated)`),
    ...fact('Own memory', `${bytes(footprint.resident_bytes)} resident of at most ${bytes(footprint.limit_bytes)}; ${count(footprint.sites)} stacks, ${count(footprint.live_samples)} live samples`),
    ...fact('History', `${count(n)} moments kept of ${count(history.taken)}, one every ${duration(history.every_seconds)} or so; ${bytes(history.bytes)} of at most ${bytes(history.limit_bytes)}; older ones are thinned out`),
    ...fact('Looking', `${duration((m.took_nanos[n - 1] ?? 0) / 1e9)} for the last moment, ${duration(history.took_nanos / 1e9)} for all${history.failed ? `; ${count(history.failed)} failed` : ''}`));
  const losses = overview.losses;
  $('losses').replaceChildren(el('h3', {}, 'Not recorded'), losses.length
    ? table([['What'], ['Count', 'number']], losses.map(loss => el('tr', {},
      el('td', {}, loss.reason, el('div', { class: 'place' }, loss.meaning)),
      el('td', { class: 'number' }, count(loss.count), el('div', { class: 'place' }, loss.bytes_estimate ? bytes(loss.bytes_estimate) : '')))))
    : el('p', { class: 'hint' }, 'Nothing was lost.'));
}

export { percent };
