// Small charts: memory over the profiles, what survives to an age, and what is live by birth.
import { bytes, clock, duration, percent, svg } from './text.js';

/** Round steps from 0 to beyond `largest`, in units that are read easily. */
function steps(largest, most) {
  const unit = 1024 ** Math.floor(Math.log(Math.max(1, largest / 1.5)) / Math.log(1024));
  const raw = largest / unit / most, power = 10 ** Math.floor(Math.log10(raw));
  const step = unit * power * [1, 2, 2.5, 5, 10].find(k => k * power >= raw);
  return { step, top: Math.ceil(largest / step) * step };
}

const path = points => points.map(([x, y], i) => `${i ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`).join('');

/** Live heap with its error, and what is resident; a point for each profile that has a time. */
export function timeChart(box, moments) {
  const HEIGHT = 230, LEFT = 66, RIGHT = 12, TOP = 10, BOTTOM = 26;
  const draw = () => {
    const width = Math.max(240, box.clientWidth);
    const known = moments.filter(m => m.time_ms !== null && m.live !== null);
    const [from, to] = [known[0].time_ms, known[known.length - 1].time_ms];
    const span = Math.max(1, to - from);
    const largest = Math.max(1024, ...known.map(m => Math.max(m.live + (m.live_error ?? 0), m.resident ?? 0)));
    const { step, top } = steps(largest, 4);
    const x = m => LEFT + (m.time_ms - from) / span * (width - LEFT - RIGHT);
    const y = v => TOP + (1 - v / top) * (HEIGHT - TOP - BOTTOM);
    const last = known[known.length - 1];
    const root = svg('svg', { viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT, role: 'img', 'aria-label': `Live heap over ${duration(span / 1000)}: from ${bytes(known[0].live)} to ${bytes(last.live)}` });
    for (let v = 0; v <= top * 1.001; v += step) {
      root.append(svg('line', { class: 'grid', x1: LEFT, x2: width - RIGHT, y1: y(v), y2: y(v) }),
        svg('text', { class: 'tick', x: LEFT - 8, y: y(v) + 4, 'text-anchor': 'end' }, bytes(v)));
    }
    const ticks = Math.max(2, Math.min(6, Math.floor((width - LEFT) / 110)));
    for (let k = 0; k < ticks; k++) {
      const part = k / (ticks - 1), anchor = k === 0 ? 'start' : k === ticks - 1 ? 'end' : 'middle';
      root.append(svg('text', { class: 'tick', x: LEFT + part * (width - LEFT - RIGHT), y: HEIGHT - 7, 'text-anchor': anchor }, clock(from + part * span, span)));
    }
    const resident = known.filter(m => m.resident !== null);
    if (resident.length > 1) root.append(svg('path', { class: 'rss', d: path(resident.map(m => [x(m), y(m.resident)])) }));
    const low = known.map(m => [x(m), y(Math.max(0, m.live - (m.live_error ?? 0)))]).reverse();
    const high = known.map(m => [x(m), y(m.live + (m.live_error ?? 0))]);
    root.append(svg('path', { class: 'band', d: `${path(high)}${path(low).replace('M', 'L')}Z` }),
      svg('path', { class: 'series', d: path(known.map(m => [x(m), y(m.live)])) }));
    for (const m of known) {
      root.append(svg('circle', { class: 'dot', cx: x(m), cy: y(m.live), r: known.length > 40 ? 2 : 4 },
        svg('title', {}, `${new Date(m.time_ms).toLocaleString()}: ${bytes(m.live, m.live_error)} live, ${bytes(m.resident)} resident`)));
    }
    box.replaceChildren(root);
  };
  new ResizeObserver(draw).observe(box);
}

/** The share that lives longer than an age, with its 95 % band; ages grow by factors, so the axis does. */
export function survival(points) {
  const WIDTH = 300, HEIGHT = 120, LEFT = 38, RIGHT = 8, TOP = 8, BOTTOM = 22;
  const ages = points.map(p => Math.log(Math.max(1, p.age_nanos)));
  const [from, to] = [ages[0], ages[ages.length - 1]];
  const x = i => LEFT + (to > from ? (ages[i] - from) / (to - from) : 1) * (WIDTH - LEFT - RIGHT);
  const y = v => TOP + (1 - v) * (HEIGHT - TOP - BOTTOM);
  const last = points[points.length - 1];
  const root = svg('svg', { class: 'survival', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': `${percent(last.survival, 1)} lives longer than ${duration(last.age_nanos / 1e9)}` });
  for (const v of [0, 0.5, 1]) {
    root.append(svg('line', { class: 'grid', x1: LEFT, x2: WIDTH - RIGHT, y1: y(v), y2: y(v) }),
      svg('text', { class: 'tick', x: LEFT - 6, y: y(v) + 4, 'text-anchor': 'end' }, `${v * 100}%`));
  }
  root.append(svg('text', { class: 'tick', x: LEFT, y: HEIGHT - 5 }, duration(points[0].age_nanos / 1e9)),
    svg('text', { class: 'tick', x: WIDTH - RIGHT, y: HEIGHT - 5, 'text-anchor': 'end' }, duration(last.age_nanos / 1e9)));
  const band = [...points.map((p, i) => [x(i), y(p.high)]), ...points.map((p, i) => [x(i), y(p.low)]).reverse()];
  root.append(svg('path', { class: 'band', d: `${path(band)}Z` }), svg('path', { class: 'series', d: path(points.map((p, i) => [x(i), y(p.survival)])) }));
  return root;
}

/** Live bytes of eight equal parts of the run, the oldest left. */
export function births(windows) {
  const WIDTH = 300, HEIGHT = 120, BOTTOM = 22, TOP = 8;
  const most = Math.max(1, ...windows.map(w => w.bytes));
  const room = WIDTH / windows.length;
  const root = svg('svg', { class: 'births', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': `Live bytes by birth, oldest first: ${windows.map(w => bytes(w.bytes)).join(', ')}` });
  windows.forEach((w, i) => {
    const height = w.bytes / most * (HEIGHT - TOP - BOTTOM);
    root.append(svg('rect', { x: i * room + 2, y: HEIGHT - BOTTOM - height, width: room - 4, height: Math.max(1, height), rx: 2 },
      svg('title', {}, `born ${duration(w.from_nanos / 1e9)} to ${duration(w.to_nanos / 1e9)} after the start: ${bytes(w.bytes, w.std_error)}`)));
  });
  root.append(svg('text', { class: 'tick', x: 2, y: HEIGHT - 5 }, 'start'), svg('text', { class: 'tick', x: WIDTH - 2, y: HEIGHT - 5, 'text-anchor': 'end' }, 'now'));
  return root;
}
