// The columns of the table: name, what to sort by, what to show, class.
const COLUMNS = [
  ['at', 'Started (UTC)', row => row.at ?? 0, row => row.at === undefined ? '' : (row.local ? '~' : '') + minute(row.at)],
  ['project', 'Project', row => row.label.toLowerCase(), row => row.label, 'opt2'],
  ['title', 'First prompt or name', row => row.title.toLowerCase(), row => row.title],
  ['model', 'Model', row => row.models.join(), row => row.models.join(', '), 'opt'],
  ['turns', 'Turns', row => row.turns, row => grouped(row.turns), 'n opt'],
  ['calls', 'Calls', row => row.calls, row => grouped(row.calls), 'n opt'],
  ['tools', 'Tools', row => row.tools_n, row => grouped(row.tools_n), 'n opt'],
  ['errors', 'Errors', row => row.errors, row => row.errors ? grouped(row.errors) : '', 'n bad opt'],
  ['total', 'Tokens', row => row.total, row => row.total ? tokens(row.total) : '–', 'n'],
  ...(about.prices ? [['price', 'Cost', row => row.price ?? -1, row => row.price === undefined ? '–' : dollars(row.price) + (row.unpriced ? '+?' : ''), 'n opt']] : []),
  ['took', 'Took', row => row.took ?? -1, row => lasted(row.took), 'n opt2'],
  ['status', 'Status', row => row.status, row => row.status],
];

function sorted(rows) {
  const order = state.sort ?? '-at';
  const back = order.startsWith('-');
  const column = COLUMNS.find(it => it[0] === order.replace('-', '')) ?? COLUMNS[0];
  const keyed = rows.map(row => [column[2](row), row]);
  keyed.sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : 0) * (back ? -1 : 1) || x.nth - y.nth);
  return keyed.map(entry => entry[1]);
}

function sessionsTable(rows) {
  const shown = sorted(rows);
  const order = state.sort ?? '-at';
  const head = el('div', { class: 'head' }, ...COLUMNS.map(([key, name, , , kind]) => {
    const mine = order.replace('-', '') === key;
    const next = order === '-' + key ? key : mine ? '-' + key : (key === 'project' || key === 'title' || key === 'model' || key === 'status' ? '' : '-') + key;
    return el('button', {
      type: 'button', class: kind?.replace('bad', ''), text: name + (mine ? order.startsWith('-') ? ' ↓' : ' ↑' : ''),
      'aria-sort': mine ? order.startsWith('-') ? 'descending' : 'ascending' : null,
      onclick: () => { go({ sort: next }, true); current.draw(); },
    });
  }));
  const make = nth => el('div', { class: 'row' }, ...COLUMNS.map(([key, , , show, kind]) => el('span', {
    class: 'cell ' + (kind ?? '') + (key === 'status' ? ' ' + shown[nth].status : key === 'at' || key === 'took' ? ' dim' : ''),
    title: key === 'title' ? shown[nth].title : key === 'project' ? shown[nth].project : null, text: show(shown[nth]),
  })));
  const open = nth => openSession(shown[nth]);
  const list = longList('sessions', 34, make, open);
  requestAnimationFrame(() => list.show(shown.length));
  return el('section', { class: 'table' + (about.prices ? ' cost' : ''), 'aria-label': 'Sessions' }, head, list.box,
    !shown.length && el('p', { class: 'notice', text: 'No session matches the filter' }));
}

function openSession(row) {
  if (row.part) location.href = row.part + '#' + new URLSearchParams({ s: row.id });
  else { go({ s: row.id, at: '' }); draw(); }
}

function drawOverview(rows) {
  current.draw = () => {
    const query = readQuery(state.q ?? '');
    const chosen = rows.filter(row => matches(row, query));
    const sums = sumUp(chosen, query);
    current.lists.length = current.plots.length = 0;
    $('#main').replaceChildren(tiles(sums), charts(sums), sessionsTable(chosen));
  };
  current.draw();
}
