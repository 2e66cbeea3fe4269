// The chart over time, and the two handles on it that say which moments are compared.
import { bytes, clock, count, duration, el, svg, $ } from './text.js';

const HEIGHT = 250, LEFT = 66, RIGHT = 12, TOP = 22, BOTTOM = 26;

/** Columns by kind: the seven that reach highest, and the rest as one, since there are eight colours. */
function most(columns) {
  const height = ([, layer]) => Math.max(0, ...layer.map(v => v ?? 0));
  const all = Object.entries(columns).sort((a, b) => height(b) - height(a));
  const kept = all.slice(0, 7), rest = all.slice(7);
  if (rest.length) kept.push(['others', rest[0][1].map((_, i) => rest.reduce((sum, [, layer]) => sum + (layer[i] ?? 0), 0))]);
  return Object.fromEntries(kept);
}

export class Chart {
  /** `moved(base, now)` is called with places of moments, the earlier first. */
  constructor(box, moved) {
    this.box = box;
    this.moved = moved;
    this.view = 'live';
    new ResizeObserver(() => this.moments && this.draw()).observe(box);
  }

  show(moments, partNames, base, now) {
    Object.assign(this, { moments, partNames, base, now });
    // A redraw would take a handle out of the hand that holds it.
    if (!this.drag) this.draw();
  }

  draw() {
    const m = this.moments, n = m.id.length;
    const focused = document.activeElement?.dataset?.handle;
    this.width = Math.max(240, this.box.clientWidth);
    this.stacked = m.resident_bytes.some(v => v !== null) ? { parts: m.parts, descriptors: most(m.descriptors_by_kind) }[this.view] : undefined;
    const parts = this.stacked !== undefined, counts = this.view === 'descriptors' && parts;
    this.layers = parts ? Object.values(this.stacked).map(layer => layer.map(v => Math.max(0, v ?? 0))) : [];
    const sums = m.id.map((_, i) => this.layers.reduce((sum, layer) => sum + layer[i], 0));
    const tops = parts ? sums : m.live_bytes.map((v, i) => Math.max(v + m.live_error_bytes[i], m.resident_bytes[i] ?? 0));
    const largest = Math.max(counts ? 4 : 1024, ...tops);
    const unit = counts ? 1 : 1024 ** Math.floor(Math.log(largest / 1.5) / Math.log(1024));
    const raw = largest / unit / 4, power = 10 ** Math.floor(Math.log10(raw));
    const nice = unit * power * (counts ? [1, 2, 5, 10] : [1, 2, 2.5, 5, 10]).find(k => k * power >= raw);
    const top = Math.ceil(largest / nice) * nice;
    const [from, to] = [m.time_ms[0], m.time_ms[n - 1]];
    const span = Math.max(1, to - from);
    this.x = i => LEFT + (n === 1 ? 0.5 : (m.time_ms[i] - from) / span) * (this.width - LEFT - RIGHT);
    this.y = v => TOP + (1 - v / top) * (HEIGHT - TOP - BOTTOM);
    const root = svg('svg', { height: HEIGHT, viewBox: `0 0 ${this.width} ${HEIGHT}`, role: 'group', 'aria-label': this.summary() });
    for (let v = 0; v <= top * 1.001; v += nice) {
      root.append(svg('line', { class: 'grid', x1: LEFT, x2: this.width - RIGHT, y1: this.y(v), y2: this.y(v) }));
      root.append(svg('text', { class: 'tick', x: LEFT - 8, y: this.y(v) + 4, 'text-anchor': 'end' }, counts ? count(v) : bytes(v)));
    }
    const ticks = Math.max(2, Math.min(7, Math.floor((this.width - LEFT) / 110)));
    for (let k = 0; k < ticks && n > 1; k++) {
      const share = k / (ticks - 1), anchor = k === 0 ? 'start' : k === ticks - 1 ? 'end' : 'middle';
      const x = LEFT + share * (this.width - LEFT - RIGHT);
      root.append(svg('text', { class: 'tick', x, y: HEIGHT - 7, 'text-anchor': anchor }, clock(from + share * span, span)));
    }
    if (parts) this.stack(root); else this.lines(root);
    if (n > 1) for (const [a, b] of [[LEFT, this.x(this.base)], [this.x(this.now), this.width - RIGHT]]) {
      root.append(svg('rect', { class: 'outside', x: a, y: TOP, width: Math.max(0, b - a), height: HEIGHT - TOP - BOTTOM }));
    }
    const hit = svg('rect', { x: 0, y: 0, width: this.width, height: HEIGHT, fill: 'transparent' });
    root.append(hit);
    this.listen(root);
    if (n > 1) root.append(this.handle('base'), this.handle('now'));
    this.box.replaceChildren(root);
    if (focused) this.box.querySelector(`[data-handle="${focused}"]`)?.focus();
    this.legend(parts);
  }

  summary() {
    const m = this.moments, last = m.id.length - 1;
    return `Live heap over ${duration((m.time_ms[last] - m.time_ms[0]) / 1000)}: from ${bytes(m.live_bytes[0])} to ${bytes(m.live_bytes[last])}`;
  }

  path(values) {
    return values.map((v, i) => `${i ? 'L' : 'M'}${this.x(i).toFixed(1)} ${this.y(v).toFixed(1)}`).join('');
  }

  area(low, high) {
    const back = low.map((v, i) => `L${this.x(i).toFixed(1)} ${this.y(v).toFixed(1)}`).reverse().join('');
    return `${this.path(high)}${back}Z`;
  }

  lines(root) {
    const m = this.moments;
    const low = m.live_bytes.map((v, i) => Math.max(0, v - m.live_error_bytes[i]));
    const high = m.live_bytes.map((v, i) => v + m.live_error_bytes[i]);
    if (m.resident_bytes.every(v => v !== null)) root.append(svg('path', { class: 'rss', d: this.path(m.resident_bytes) }));
    root.append(svg('path', { class: 'band', d: this.area(low, high) }));
    root.append(svg('path', { class: 'series', d: this.path(m.live_bytes) }));
    for (const i of new Set([this.base, this.now])) root.append(svg('circle', { class: 'dot', cx: this.x(i), cy: this.y(m.live_bytes[i]), r: 5 }));
  }

  stack(root) {
    let low = this.moments.id.map(() => 0);
    this.layers.forEach((layer, k) => {
      const high = low.map((v, i) => v + layer[i]);
      root.append(svg('path', { class: `part${k}`, d: this.area(low, high) }));
      low = high;
    });
  }

  legend(parts) {
    const items = parts ? Object.keys(this.stacked).map((key, k) => el('li', { class: `part${k}` }, this.partNames[key] ?? key))
      : [el('li', {}, 'live heap'), el('li', { class: 'of-band' }, '± one standard error'), el('li', { class: 'of-rss' }, 'resident')];
    if (!parts && this.moments.exact.every(Boolean)) items.splice(1, 1);
    $('legend').replaceChildren(...items);
  }

  handle(which) {
    const i = this[which], m = this.moments, x = this.x(i), last = m.id.length - 1;
    // At the edges the label stays inside.
    const at = Math.min(Math.max(x, 24), this.width - 24);
    return svg('g', {
      class: 'handle', 'data-handle': which, tabindex: 0, role: 'slider', 'aria-orientation': 'horizontal',
      'aria-label': which === 'base' ? 'Base moment' : 'Moment to compare with it',
      'aria-valuemin': 0, 'aria-valuemax': last, 'aria-valuenow': i,
      'aria-valuetext': `${clock(m.time_ms[i], 0)}, ${bytes(m.live_bytes[i], m.live_error_bytes[i])} live`,
    },
    svg('rect', { x: x - 14, y: 0, width: 28, height: HEIGHT - BOTTOM, fill: 'transparent' }),
    svg('line', { x1: x, x2: x, y1: 16, y2: HEIGHT - BOTTOM }),
    svg('rect', { class: 'grip', x: at - 22, y: 0, width: 44, height: 17, rx: 5 }),
    svg('text', { x: at, y: 12.5 }, which));
  }

  nearest(event) {
    const x = event.clientX - this.box.getBoundingClientRect().left;
    let best = 0;
    this.moments.id.forEach((_, i) => { if (Math.abs(this.x(i) - x) < Math.abs(this.x(best) - x)) best = i; });
    return best;
  }

  /** The order of the two never turns round: whoever passes the other becomes the other. */
  set(a, b, done) {
    [this.base, this.now] = [Math.min(a, b), Math.max(a, b)];
    if (done) this.moved(this.base, this.now);
  }

  listen(root) {
    root.addEventListener('pointerdown', event => {
      if (event.button !== 0 || this.moments.id.length < 2) return;
      const which = event.target.closest?.('[data-handle]')?.dataset.handle;
      const at = this.nearest(event);
      this.drag = { fixed: which === 'base' ? this.now : which === 'now' ? this.base : at, from: event.clientX, moved: !!which };
      const move = next => {
        this.drag.moved ||= Math.abs(next.clientX - this.drag.from) > 4;
        if (this.drag.moved) { this.set(this.drag.fixed, this.nearest(next), false); this.draw(); }
      };
      const up = next => {
        removeEventListener('pointermove', move);
        removeEventListener('pointerup', up);
        removeEventListener('pointercancel', up);
        const { fixed, moved } = this.drag;
        this.drag = null;
        const to = this.nearest(next);
        if (moved) this.set(fixed, to, true);
        // A click moves the handle that is nearer.
        else if (Math.abs(to - this.base) <= Math.abs(to - this.now)) this.set(to, this.now, true);
        else this.set(this.base, to, true);
        this.draw();
      };
      addEventListener('pointermove', move);
      addEventListener('pointerup', up);
      addEventListener('pointercancel', up);
    });
    root.addEventListener('pointermove', event => this.tip(event));
    root.addEventListener('pointerleave', () => { $('tip').hidden = true; });
    root.addEventListener('keydown', event => {
      const which = event.target.dataset?.handle;
      const last = this.moments.id.length - 1, big = Math.max(1, Math.round(last / 10));
      const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -big, PageUp: big, Home: -last, End: last }[event.key];
      if (!which || by === undefined) return;
      event.preventDefault();
      const to = Math.min(last, Math.max(0, this[which] + by));
      // A handle stops at the other one: what has the focus stays what it is.
      if (which === 'base') this.set(Math.min(to, this.now), this.now, true);
      else this.set(this.base, Math.max(to, this.base), true);
      this.draw();
    });
  }

  tip(event) {
    const m = this.moments, i = this.nearest(event), tip = $('tip');
    const threads = m.threads[i] === null ? '' : ` · ${count(m.threads[i])} threads · ${count(m.descriptors[i])} descriptors`;
    const tasks = m.tasks[i] === null ? '' : ` · ${count(m.tasks[i])} tasks`;
    tip.textContent = `${clock(m.time_ms[i], 0)} · ${bytes(m.live_bytes[i], m.live_error_bytes[i])} live · ${bytes(m.resident_bytes[i])} resident${threads}${tasks}`;
    tip.hidden = false;
    tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${event.clientY + 16}px`;
  }
}
