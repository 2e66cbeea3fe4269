// Asks, shows, asks again. Addresses are relative to the page, so it works below any prefix.
import { Chart } from './chart.js';
import { Flame } from './flame.js';
import * as tables from './tables.js';
import { $, count, duration, el } from './text.js';

const state = { token: stored(), base: null, now: null, history: null, names: {} };

function stored() {
  try { return sessionStorage.getItem('heapsite-token') ?? ''; } catch { return ''; }
}

/** What the server said instead of an answer. */
class Refusal extends Error {
  constructor(status, text, again) {
    super(text || `the server answered ${status}`);
    Object.assign(this, { status, again });
  }
}

/** A token goes into a header and never into an address, which logs would keep. */
async function ask(path) {
  const headers = state.token ? { Authorization: `Bearer ${state.token}` } : {};
  let answer;
  try {
    answer = await fetch(path, { headers, cache: 'no-store', credentials: 'same-origin' });
  } catch {
    throw new Refusal(0, 'the service does not answer: it has ended, or is not reachable from here', 0);
  }
  if (answer.ok) return answer;
  throw new Refusal(answer.status, (await answer.text()).trim(), Number(answer.headers.get('Retry-After')) || 0);
}

const json = async path => (await ask(path)).json();
const pause = seconds => new Promise(done => setTimeout(done, seconds * 1000));

/** One expensive job at a time: others are told to come again, which this does, and says so. */
async function patiently(path, say) {
  for (let turn = 1; ; turn++) {
    try {
      return await ask(path);
    } catch (error) {
      if (error.status !== 503 || turn === 10) throw error;
      say(`Somebody else’s profile is being made; trying again in ${error.again || 1} s (${turn})…`);
      await pause(error.again || 1);
    }
  }
}

const chart = new Chart($('chart'), (base, now) => {
  const ids = state.history.moments.id;
  state.base = base === 0 ? null : ids[base];
  // The newest moment stays the newest one.
  state.now = now === ids.length - 1 ? null : ids[now];
  compare().catch(failed);
});
const flame = new Flame($('flame'));

/** The place of a moment; if it has made room for others the next one's. */
function placeOf(id, otherwise) {
  if (id === null) return otherwise;
  const place = state.history.moments.id.findIndex(known => known >= id);
  return place < 0 ? otherwise : place;
}

function selected() {
  const last = state.history.moments.id.length - 1;
  return [placeOf(state.base, 0), placeOf(state.now, last)];
}

async function compare() {
  const ids = state.history.moments.id;
  const [base, now] = selected();
  const diff = await json(`api/diff?base=${ids[base]}&now=${ids[now]}`);
  // Meanwhile another pair may have been chosen.
  const [stillBase, stillNow] = selected();
  if (stillBase !== base || stillNow !== now) return;
  for (const part of diff.memory?.parts ?? []) state.names[part.part] = part.name;
  tables.verdict(diff);
  tables.lines(diff);
  tables.parts(diff);
  chart.show(state.history.moments, state.names, base, now);
  document.documentElement.dataset.diff = `${ids[base]}-${ids[now]}`;
}

async function look() {
  const [overview, history] = await Promise.all([json('api/overview'), json('api/history')]);
  state.history = history;
  $('token').hidden = true;
  $('process').textContent = `${overview.program} · process ${overview.pid} · up ${duration(overview.uptime_nanos / 1e9)}`;
  links(overview.links);
  tell(overview, history);
  tables.quality(overview, history);
  const some = history.moments.id.length > 0;
  $('content').hidden = false;
  for (const id of ['chart', 'presets']) $(id).hidden = !some;
  if (some) await compare(); else nothing(history);
  const at = new Date();
  $('status').textContent = `Updated ${at.toTimeString().slice(0, 8)}`;
  return history;
}

function nothing(history) {
  $('verdict-word').textContent = 'No moment yet';
  $('verdict-lead').textContent = history.every_seconds > 0 ? 'The first one comes when the program’s stacks have been named, which takes a second or so.'
    : 'No history is kept here (Options::history is zero): the flame graph and the downloads still work.';
  for (const id of ['lines', 'parts']) $(id).replaceChildren(el('p', { class: 'empty' }, 'Nothing to compare yet.'));
}

function tell(overview, history) {
  const notice = $('notice');
  const texts = [];
  if (!overview.installed) {
    texts.push('heapsite is not this program’s allocator, so nothing of its heap is recorded. It takes two lines in main.rs:',
      el('pre', {}, '#[global_allocator]\nstatic HEAP: heapsite::Heapsite = heapsite::Heapsite::system();'));
  } else if (overview.interval === 0) texts.push('Recording is off (interval 0): what was allocated before is still followed, new allocations are not.');
  if (history.no_thread) texts.push('The system had no thread for the history, so there is no chart.');
  notice.replaceChildren(...texts);
  notice.hidden = texts.length === 0;
}

function links(all) {
  // Behind a token a plain link would be refused, so they are fetched like everything else.
  $('links').replaceChildren(...all.map(({ name, href, about }) => {
    const link = el('a', { href }, name);
    if (state.token) link.addEventListener('click', event => { event.preventDefault(); save(href, name).catch(failed); });
    return el('li', {}, link, el('span', {}, ` ${about}`));
  }));
}

async function save(path, fallback) {
  const status = $('download-status');
  status.textContent = 'Making it…';
  try {
    const answer = await patiently(path, text => { status.textContent = text; });
    const name = /filename="([^"]+)"/.exec(answer.headers.get('Content-Disposition') ?? '')?.[1] ?? fallback.replace(/[^\w.-]/g, '_');
    const blob = await answer.blob();
    const url = URL.createObjectURL(blob);
    el('a', { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
    status.textContent = `${name}: ${count(blob.size)} bytes`;
  } catch (error) {
    status.textContent = `Not saved: ${error.message}`;
    if (error.status === 401) failed(error);
  }
}

let flameTurn = 0;
async function drawFlame(value) {
  // The last one that was asked for is drawn.
  const turn = ++flameTurn, detail = $('flame-detail');
  detail.textContent = 'Taking a snapshot and naming its stacks…';
  try {
    const answer = await patiently(`api/flame?value=${value}`, text => { detail.textContent = text; });
    const data = await answer.json();
    if (turn === flameTurn) flame.show(data, value);
  } catch (error) {
    detail.textContent = `No flame graph: ${error.message}`;
  }
}

function failed(error) {
  if (error instanceof Refusal && error.status === 401) {
    const tried = state.token !== '';
    state.token = '';
    try { sessionStorage.removeItem('heapsite-token'); } catch { /* it was not kept */ }
    $('token').hidden = false;
    $('content').hidden = true;
    $('token-error').textContent = tried ? 'That is not the token.' : '';
    $('status').textContent = '';
    $('token-text').focus();
    return;
  }
  $('status').textContent = `Not up to date: ${error.message}`;
}

function choice(group, key, chosen) {
  group.addEventListener('click', event => {
    const button = event.target.closest('button');
    if (!button) return;
    for (const other of group.querySelectorAll('button')) other.setAttribute('aria-pressed', String(other === button));
    chosen(button.dataset[key]);
  });
}

choice($('chart-view'), 'view', view => { chart.view = view; chart.draw(); });
choice($('flame-view'), 'value', drawFlame);
$('flame-again').addEventListener('click', () => drawFlame($('flame-view').querySelector('[aria-pressed="true"]').dataset.value));
$('presets').addEventListener('click', event => {
  const seconds = event.target.dataset?.seconds;
  if (seconds === undefined) return;
  const { id, time_ms: times } = state.history.moments;
  const from = times[times.length - 1] - Number(seconds) * 1000;
  state.base = seconds === '0' ? null : id[Math.max(0, times.findIndex(time => time >= from))];
  state.now = null;
  compare().catch(failed);
});
$('downloads').addEventListener('click', event => {
  const format = event.target.dataset?.format;
  if (format) save(`api/profile?format=${format}`, `heapsite.${format}`);
});
$('token').addEventListener('submit', event => {
  event.preventDefault();
  state.token = $('token-text').value;
  $('token-text').value = '';
  try { sessionStorage.setItem('heapsite-token', state.token); } catch { /* then for this page only */ }
  look().then(() => drawFlame('live'), failed);
});

async function live() {
  let first = true;
  for (;;) {
    let wait = 5;
    if (!document.hidden && ($('token').hidden || first)) {
      try {
        const history = await look();
        if (first) { first = false; drawFlame('live'); }
        // The first moments come one by one; later as often as they are taken.
        wait = history.moments.id.length < 3 ? 1 : Math.min(30, Math.max(1, history.every_seconds));
      } catch (error) {
        failed(error);
        if (error.status === 401) first = false;
      }
    }
    await pause(wait);
  }
}
live();
