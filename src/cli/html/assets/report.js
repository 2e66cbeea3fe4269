// Puts the report together from the data in the file.
import { timeChart } from './charts.js';
import { findings, memoryParts, verdict } from './findings.js';
import { Flame } from './flame.js';
import { Lines } from './lines.js';
import { $, bytes, count, el, percent, table } from './text.js';

const data = JSON.parse($('data').textContent);

verdict(data);
if (data.verdict) findings(data.verdict);
memoryParts(data.memory);
new Lines(data.lines);

const timed = data.timeline.filter(m => m.time_ms !== null && m.live !== null);
if (timed.length > 1) {
  $('time-panel').hidden = false;
  timeChart($('time'), data.timeline);
}
if ($('time-panel').hidden || $('parts-panel').hidden) $('time-panel').parentElement.className = '';

const notes = [data.silence, data.nameless ? 'The profile has no names: `heapsite symbolize` gives it some.' : null, ...data.notes].filter(Boolean);
$('notice').hidden = notes.length === 0;
$('notice').replaceChildren(...notes.map(note => el('p', {}, note)));

/** The flame graph of a difference is as wide as what is there now, and as red or blue as it grew or shrank. */
class ReportFlame extends Flame {
  show(data, view) {
    this.growth = view.growth;
    this.unit = view.unit;
    this.changes = data.nodes.map(node => node[7] ?? null);
    super.show(data, view.what);
    $('flame-about').textContent = `${view.about}${data.left_out ? ` ${count(data.left_out)} small frames are left out.` : ''} Click or Enter zooms, Escape goes back.`;
  }

  colour(node) {
    if (!this.growth) return super.colour(node);
    const [by] = this.changes[node.i] ?? [0], share = Math.min(1, Math.abs(by) / Math.max(1, node.size));
    if (!by) return 'hsl(40 8% 82%)';
    return by > 0 ? `hsl(8 ${30 + 45 * share}% ${86 - 22 * share}%)` : `hsl(212 ${30 + 45 * share}% ${86 - 22 * share}%)`;
  }

  /** Samples, not objects; and what is counted is not always bytes. */
  tell(i) {
    const node = this.nodes[i], [by, error] = this.changes[i] ?? [0];
    const show = this.unit === 'bytes' ? bytes : count;
    $('flame-detail').replaceChildren(el('span', { class: 'name' }, this.name(node)),
      ` ${show(node.size, node.error)} ${this.what}, ${percent(node.size, this.nodes[0].size)}, ${count(node.objects)} samples`,
      this.growth ? `; ${by > 0 ? '+' : ''}${show(by, error)} since the first profile` : '',
      el('div', { class: 'place' }, this.file(node)));
  }
}

if (data.flames?.length) {
  $('flame-panel').hidden = false;
  const flame = new ReportFlame($('flame'));
  const group = $('flame-view');
  const choose = chosen => {
    for (const button of group.children) button.setAttribute('aria-pressed', String(button === chosen));
    const view = data.flames[Number(chosen.dataset.at)];
    flame.show(view.tree, view);
  };
  group.replaceChildren(...data.flames.map((view, at) => el('button', { type: 'button', 'data-at': at, 'aria-pressed': 'false' }, view.title)));
  group.addEventListener('click', event => { if (event.target.dataset.at) choose(event.target); });
  choose(group.children[0]);
}

const unseen = [];
if (data.losses.length) {
  unseen.push(table([['What'], ['Count', 'number']], data.losses.map(loss => el('tr', {},
    el('td', {}, loss.reason, el('div', { class: 'place' }, loss.meaning)),
    el('td', { class: 'number' }, count(loss.count), el('div', { class: 'place' }, loss.bytes_estimate ? bytes(loss.bytes_estimate) : ''))))));
} else unseen.push(el('p', { class: 'hint' }, 'Nothing was lost.'));
if (data.verdict?.untold.length) {
  unseen.push(el('h3', {}, 'Lines that could not be judged'), table([['Why'], ['Lines', 'number'], ['Live', 'number']], data.verdict.untold.map(row => el('tr', {},
    el('td', {}, row.words), el('td', { class: 'number' }, count(row.lines)), el('td', { class: 'number' }, bytes(row.bytes))))));
}
const exact = data.lines.columns.every(column => column.quality.exact), interval = data.lines.columns[0]?.quality.interval_bytes;
unseen.push(el('h3', {}, 'How numbers were made'), el('p', { class: 'hint' },
  exact ? 'Exact: every allocation was recorded.'
    : interval ? `Estimated from one sample in ${bytes(interval)} on average. ± is one standard error: the truth lies within one in about 68 of 100 cases, within two in 95.`
      : 'The profile does not say how it was sampled, so no error can be given.'));
unseen.push(el('p', { class: 'hint' }, data.memory ? 'Memory that is not from Rust’s allocator shows only as a part of what is resident: no line is known for it.'
  : 'Where the memory of the process is, these profiles do not say; heapsite’s own do.'));
$('unseen').replaceChildren(...unseen);
$('profiles').replaceChildren(el('ul', { class: 'links' }, ...data.profiles.map(profile => el('li', {}, profile.origin))));
document.documentElement.dataset.drawn = 'yes';
