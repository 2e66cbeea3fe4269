// The flame graph: the root on top, a click zooms, keys walk.
import { $, bytes, count, el, percent, place, svg } from './text.js';

const ROW = 20, SMALLEST = 0.6, LETTER = 6.5;

export class Flame {
  constructor(box) {
    this.box = box;
    new ResizeObserver(() => this.nodes && this.draw()).observe(box);
    box.addEventListener('click', event => {
      const at = event.target.closest('[data-node]');
      if (at) this.zoom(Number(at.dataset.node));
    });
    box.addEventListener('pointermove', event => {
      const at = event.target.closest('[data-node]');
      if (at) this.tell(Number(at.dataset.node));
    });
    box.addEventListener('keydown', event => this.key(event));
    $('flame-search').addEventListener('input', () => this.nodes && this.draw());
    $('flame-up').addEventListener('click', () => this.nodes && this.zoom(0));
  }

  show(data, what) {
    this.functions = data.functions;
    this.exact = data.exact;
    this.what = what;
    this.nodes = data.nodes.map(([parent, fn, first, last, size, error, objects], i) => ({ i, parent, fn, first, last, size, error, objects, children: [], depth: 0, x: 0 }));
    this.nodes.forEach((node, i) => {
      if (!i) return;
      const parent = this.nodes[node.parent];
      node.depth = parent.depth + 1;
      parent.children.push(node);
    });
    for (const node of this.nodes) {
      node.children.sort((a, b) => b.size - a.size);
      let x = node.x;
      for (const child of node.children) { child.x = x; x += child.size; }
    }
    this.top = this.at = 0;
    $('flame-about').textContent = `Of a snapshot taken when this was drawn; root on top.${data.left_out ? ` ${count(data.left_out)} small frames are left out.` : ''} Click or Enter zooms, Escape goes back.`;
    this.draw();
    this.tell(0);
  }

  name(node) { return node.fn === null ? 'all' : this.functions[node.fn][0]; }

  file(node) {
    if (node.fn === null) return '';
    const lines = node.last > node.first ? `${node.first}–${node.last}` : node.first;
    return place(this.functions[node.fn][1], node.first > 0 ? 1 : 0).replace(/:1$/, `:${lines}`);
  }

  matches(node, text) {
    return node.fn !== null && this.functions[node.fn].some(part => part.toLowerCase().includes(text));
  }

  draw() {
    const width = this.box.clientWidth, top = this.nodes[this.top];
    const text = $('flame-search').value.trim().toLowerCase();
    if (!this.nodes[0].size) {
      this.box.replaceChildren(el('p', { class: 'empty' }, 'No sampled allocation yet: the first ones come with the program’s first megabytes.'));
      return;
    }
    const chain = [];
    for (let node = top; ; node = this.nodes[node.parent]) { chain.unshift(node); if (!node.i) break; }
    const root = svg('svg', {});
    let deepest = 0, found = 0;
    const frame = (node, x, w) => {
      deepest = Math.max(deepest, node.depth);
      const hit = !text || this.matches(node, text);
      const group = svg('g', { 'data-node': node.i, class: `${hit ? '' : 'miss'}${node.i === this.at ? ' at' : ''}` },
        svg('rect', { x, y: node.depth * ROW, width: Math.max(0.5, w), height: ROW - 1, rx: 2, fill: this.colour(node) }));
      const room = Math.floor((w - 8) / LETTER), name = this.name(node);
      if (room > 2) group.append(svg('text', { x: x + 4, y: node.depth * ROW + 14 }, name.length > room ? this.cut(name, room) : name));
      root.append(group);
    };
    for (const node of chain) frame(node, 0, width);
    const inside = (node, within) => {
      for (const child of node.children) {
        const w = child.size / top.size * width;
        if (w < SMALLEST) continue;
        frame(child, (child.x - top.x) / top.size * width, w);
        const hit = text && this.matches(child, text);
        if (hit && !within) found += child.size;
        inside(child, within || hit);
      }
    };
    inside(top, false);
    root.setAttribute('height', (deepest + 1) * ROW);
    root.setAttribute('viewBox', `0 0 ${width} ${(deepest + 1) * ROW}`);
    this.box.replaceChildren(root);
    if (text) $('flame-detail').textContent = `“${text}”: ${bytes(found)}, ${percent(found, top.size)} of what is shown`;
  }

  /** The end of a path says most. */
  cut(name, room) {
    const last = name.split('::').slice(-2).join('::');
    return last.length <= room ? last : `${name.slice(0, room - 1)}…`;
  }

  colour(node) {
    const name = this.name(node).replace(/^<.* as /, '').replace(/^<+&?(dyn )?/, ''), crate = name.split(/::| /)[0];
    if (node.fn === null) return 'hsl(40 8% 78%)';
    if (/^(std|core|alloc|__|_start|main$|libc|ld-)/.test(crate) || !name.includes('::')) return 'hsl(210 12% 80%)';
    let hash = 7;
    for (const letter of crate) hash = (hash * 31 + letter.charCodeAt(0)) % 360;
    return `hsl(${hash} 55% ${70 + node.depth % 2 * 4}%)`;
  }

  tell(i) {
    const node = this.nodes[i], all = this.nodes[0].size;
    const error = this.exact ? undefined : node.error;
    $('flame-detail').replaceChildren(el('span', { class: 'name' }, this.name(node)),
      ` ${bytes(node.size, error)} ${this.what === 'live' ? 'live' : 'allocated'}, ${percent(node.size, all)}, ${count(node.objects)} objects`,
      el('div', { class: 'place' }, this.file(node)));
  }

  zoom(i) {
    this.top = this.at = i;
    this.draw();
    this.tell(i);
  }

  key(event) {
    if (!this.nodes || !this.nodes[0].size) return;
    const node = this.nodes[this.at], parent = this.nodes[node.parent];
    const side = by => { const all = parent.children; return (all[all.indexOf(node) + by] ?? node).i; };
    const next = { ArrowUp: () => node.parent, ArrowDown: () => (node.children[0] ?? node).i, ArrowLeft: () => side(-1), ArrowRight: () => side(1) }[event.key];
    if (next) {
      this.at = next();
      this.draw();
      this.tell(this.at);
    } else if (event.key === 'Enter') this.zoom(this.at);
    else if (event.key === 'Escape') this.zoom(this.nodes[this.top].parent);
    else return;
    event.preventDefault();
    this.box.querySelector('.at')?.scrollIntoView({ block: 'nearest' });
  }
}
