// A list of any length that scrolls with the window: only the rows in sight are made.
// `make(nth)` makes one, `open(nth)` is for Enter and a click.
function longList(label, height, make, open, more = {}) {
  const box = el('div', { class: 'list', role: 'listbox', tabindex: 0, 'aria-label': label });
  const made = new Map();
  const list = { box, n: 0, active: 0, all: false };
  let marked = 0;

  list.paint = () => {
    const top = -box.getBoundingClientRect().top;
    const from = list.all ? 0 : Math.max(0, Math.floor(top / height) - 6);
    const to = list.all ? list.n : Math.min(list.n, Math.ceil((top + innerHeight) / height) + 6);
    for (const [nth, row] of made) {
      if (nth < from || nth >= to) { row.remove(); made.delete(nth); }
    }
    const fresh = document.createDocumentFragment();
    for (let nth = from; nth < to; nth++) {
      if (made.has(nth)) continue;
      const row = make(nth);
      row.id = label.replaceAll(' ', '-') + nth;
      row.setAttribute('role', 'option');
      row.setAttribute('aria-setsize', list.n);
      row.setAttribute('aria-posinset', nth + 1);
      row.setAttribute('aria-selected', String(nth === list.active));
      row.style.top = nth * height + 'px';
      row.addEventListener('click', () => { list.select(nth, true); open(nth); });
      made.set(nth, row);
      fresh.append(row);
    }
    if (fresh.firstChild) box.append(fresh);
    mark();
  };

  const mark = () => {
    if (marked !== list.active) made.get(marked)?.setAttribute('aria-selected', 'false');
    marked = list.active;
    const row = made.get(marked);
    if (!row) return;
    row.setAttribute('aria-selected', 'true');
    box.setAttribute('aria-activedescendant', row.id);
  };

  // Shows other rows.
  list.show = n => {
    for (const row of made.values()) row.remove();
    made.clear();
    list.n = n;
    list.active = Math.max(0, Math.min(list.active, n - 1));
    box.style.height = n * height + 'px';
    list.paint();
  };

  list.select = (nth, stay) => {
    list.active = Math.max(0, Math.min(nth, list.n - 1));
    const top = box.getBoundingClientRect().top + list.active * height;
    const [first, last] = [100, innerHeight - 2 * height];
    if (!stay && (top < first || top > last)) scrollBy(0, top < first ? top - first : top - last);
    list.paint();
  };

  const page = () => Math.max(1, Math.floor(innerHeight / height) - 5);
  const keys = {
    ArrowDown: () => list.active + 1, j: () => list.active + 1,
    ArrowUp: () => list.active - 1, k: () => list.active - 1,
    PageDown: () => list.active + page(), PageUp: () => list.active - page(),
    Home: () => 0, End: () => list.n - 1,
  };
  box.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); if (list.n) open(list.active); }
    else if (keys[event.key]) { event.preventDefault(); list.select(keys[event.key]()); more.moved?.(list.active); }
    else if (more.keys?.[event.key]) { event.preventDefault(); more.keys[event.key](list.active); }
  });
  current.lists.push(list);
  return list;
}

// What is on the screen, to be told of scrolling, printing and other sizes.
const current = { lists: [], plots: [], draw: () => {} };
const PRINTED = 2000;
let asked = 0;
const later = () => { asked ||= requestAnimationFrame(() => { asked = 0; current.lists.forEach(list => list.paint()); }); };
addEventListener('scroll', later, { passive: true });
addEventListener('resize', () => { later(); current.plots.forEach(fit => fit()); });
addEventListener('beforeprint', () => current.lists.forEach(list => { list.all = list.n <= PRINTED; list.paint(); }));
addEventListener('afterprint', () => current.lists.forEach(list => { list.all = false; list.paint(); }));
