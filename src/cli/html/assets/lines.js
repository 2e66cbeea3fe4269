// The table of lines: sorted by any column, filtered as one types.
import { className } from './findings.js';
import { $, bytes, count, el, place } from './text.js';

const SHOWN = 50;
const TITLES = { inuse_space: 'Live', inuse_objects: 'Live objects', alloc_space: 'Allocated', alloc_objects: 'Allocations' };

export class Lines {
  constructor(data) {
    this.data = data;
    this.columns = data.columns.map(({ kind, unit }, at) => ({
      title: TITLES[kind] ?? kind, show: unit === 'bytes' ? bytes : count,
      of: row => row.cells[at]?.[0] ?? 0, error: row => row.cells[at]?.[1], class: at > 1 ? 'optional' : '',
    }));
    this.grows = data.growth_of !== null;
    if (this.grows) {
      const show = this.columns[0].show;
      this.columns.unshift({ title: 'Growth', show: (value, error) => (value > 0 ? '+' : '') + show(value, error), of: row => row.growth?.[0] ?? 0, error: row => row.growth?.[1], tone: row => this.tone(row) });
    }
    // The text that is searched, once.
    for (const row of data.rows) row.text = `${row.function} ${place(row.file, row.line)} ${row.class ? className(row.class) : ''}`.toLowerCase();
    this.by = 0;
    this.down = true;
    this.all = false;
    this.grownOnly = false;
    $('lines-filter').addEventListener('input', () => this.draw());
    $('lines-more').addEventListener('click', () => { this.all = true; this.draw(); });
    $('lines-grown').hidden = !this.grows;
    $('lines-grown').addEventListener('click', event => {
      this.grownOnly = !this.grownOnly;
      event.target.setAttribute('aria-pressed', String(this.grownOnly));
      this.draw();
    });
    this.draw();
  }

  tone(row) {
    const [by, , verdict] = row.growth ?? [0];
    if (!by || !['exact', 'significant'].includes(verdict)) return 'noise';
    return by > 0 ? 'grow sure' : 'shrink sure';
  }

  sorted(rows) {
    const { of } = this.columns[this.by] ?? {}, way = this.down ? 1 : -1;
    const order = this.by < 0 ? (a, b) => (a.text < b.text ? -1 : 1) : (a, b) => of(b) - of(a) || (a.text < b.text ? -1 : 1);
    return rows.sort((a, b) => way * order(a, b));
  }

  head(title, at, cls) {
    const chosen = at === this.by;
    const button = el('button', { type: 'button', class: 'sort' }, title, chosen ? (this.down ? ' ▾' : ' ▴') : '');
    button.addEventListener('click', () => {
      this.down = chosen ? !this.down : true;
      this.by = at;
      this.draw();
      $('lines').querySelectorAll('.sort')[at < 0 ? this.columns.length : at].focus();
    });
    return el('th', { scope: 'col', class: cls, 'aria-sort': chosen ? (this.down ? 'descending' : 'ascending') : 'none' }, button);
  }

  draw() {
    const text = $('lines-filter').value.trim().toLowerCase();
    const rows = this.sorted(this.data.rows.filter(row => row.text.includes(text) && (!this.grownOnly || this.tone(row) === 'grow sure')));
    const shown = this.all ? rows : rows.slice(0, SHOWN);
    const body = shown.map(row => el('tr', {},
      ...this.columns.map(column => {
        const value = column.of(row), error = value ? column.error(row) : undefined;
        return el('td', { class: `number ${column.class ?? ''} ${column.tone?.(row) ?? ''}` }, value ? column.show(value, column.show === count ? undefined : error) : '–');
      }),
      el('td', {}, el('div', { class: 'name' }, row.function, row.class ? el('span', { class: `tag ${row.class}` }, className(row.class)) : null),
        el('div', { class: 'place' }, place(row.file, row.line)))));
    const heads = [...this.columns.map((column, at) => this.head(column.title, at, `number ${column.class ?? ''}`)), this.head('Line', -1, '')];
    $('lines').replaceChildren(rows.length
      ? el('table', {}, el('thead', {}, el('tr', {}, ...heads)), el('tbody', {}, ...body))
      : el('p', { class: 'empty' }, 'No line is like that.'));
    $('lines-more').hidden = shown.length === rows.length;
    $('lines-more').textContent = `Show all ${count(rows.length)}`;
    const left = this.data.left_out ? `; ${count(this.data.left_out)} small ones are not in this file` : '';
    $('lines-about').textContent = `${count(shown.length)} of ${count(this.data.rows.length)} lines${left}`;
  }
}
