const HELP = [['/', 'Filter sessions, find in a session'], ['↓ ↑ or j k', 'Next row, row before'], ['Enter', 'Open the session, show the span'],
  ['Esc', 'Back'], ['← →', 'Fold, unfold'], ['z, 0', 'Zoom to a span, back to the whole session'], ['n, N', 'Next find, find before'],
  ['e', 'Errors only'], ['m', 'Prompts and answers only'], ['a', 'With or without subagents'], ['t', 'Dark or light']];

let rows = [];

async function drawSession(row) {
  const main = $('#main');
  current.lists.length = current.plots.length = 0;
  current.draw = () => {};
  $('.search').hidden = true;
  main.replaceChildren(el('p', { class: 'notice', text: 'Unpacking…' }));
  let objects;
  try { objects = await unpack('s' + row.nth); } catch { objects = undefined; }
  if (state.s !== row.id) return;
  if (!objects?.length) return main.replaceChildren(el('p', { class: 'notice', text: 'This session cannot be unpacked: the file is not complete.' }));
  const session = readSession(objects);
  const fact = (value, text) => value !== undefined && value !== '' && el('span', {}, el('b', { text: value }), el('span', { text: ' ' + text }));
  const facts = el('div', { class: 'facts' }, el('b', { class: row.status, text: row.status }),
    row.at !== undefined && fact((row.local ? '~' : '') + minute(row.at), row.local ? 'local time' : 'UTC'), fact(lasted(row.took), 'from begin to end'),
    fact(grouped(row.turns), row.turns === 1 ? 'turn' : 'turns'), fact(grouped(row.calls), 'model calls'), fact(grouped(row.tools_n), 'tool calls'),
    row.threads > 1 && fact(grouped(row.threads - 1), 'subagent' + (row.threads > 2 ? 's' : '')),
    row.errors > 0 && fact(grouped(row.errors), 'failed'), fact(tokens(row.total), 'tokens'),
    row.input > 0 && fact(percent(row.cached / row.input), 'cached'), row.price !== undefined && fact(dollars(row.price), 'at list prices'),
    row.models.length > 0 && el('span', { text: row.models.join(', ') }), el('span', { text: row.project }), row.branch && el('span', { text: row.branch }),
    row.version && el('span', { text: 'Codex ' + row.version + (row.source ? ', ' + row.source : '') }));
  const view = waterfall(session, row);
  main.replaceChildren(el('div', { class: 'crumbs' }, el('button', { type: 'button', id: 'back', text: '← Sessions', onclick: leave }),
    el('h1', { class: 'line', text: row.title || row.id, title: row.title })), facts,
  el('div', { class: 'above' }, contextChart(session, view.pick)), view.node);
  scrollTo(0, 0);
}

function leave() {
  if (about.index) location.href = about.index;
  else { go({ s: '', at: '', find: '' }); draw(); }
}

let left = 0;

function draw() {
  const row = state.s && rows.find(it => it.id === state.s);
  if (row?.part) return openSession(row);
  if (row) {
    left = left || scrollY;
    return drawSession(row);
  }
  $('.search').hidden = false;
  $('#query').value = state.q ?? '';
  drawOverview(rows);
  const back = left;
  left = 0;
  requestAnimationFrame(() => requestAnimationFrame(() => { scrollTo(0, back); $('.list')?.focus({ preventScroll: true }); }));
}

function theme() {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme:dark)').matches;
  document.documentElement.dataset.theme = dark ? 'light' : 'dark';
  draw();
}

const press = key => $(`[data-key=${key}]`)?.click();
const KEYS = {
  '/': () => ($('#find') ?? $('#query')).focus(), t: theme, '?': () => help.showModal(),
  e: () => press('only'), a: () => press('agents'), m: () => [...document.querySelectorAll('.bar span button')].find(it => it.getAttribute('aria-pressed') === 'false')?.click(),
  n: () => again(false), N: () => again(true),
};
const again = shiftKey => $('#find')?.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', shiftKey }));
const help = $('#help');
help.append(el('h2', { text: 'Keys' }), el('dl', {}, ...HELP.flatMap(([key, text]) => [el('dt', {}, el('kbd', { text: key })), el('dd', { text })])),
  el('button', { type: 'button', text: 'Close', onclick: () => help.close() }));

addEventListener('keydown', event => {
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  const typing = event.target.matches?.('input, select');
  if (event.key === 'Escape') {
    if (typing) $('.list')?.focus();
    else if (state.s) leave();
    else if (state.q) setFilter('');
  } else if (!typing && KEYS[event.key]) { event.preventDefault(); KEYS[event.key](); }
});
addEventListener('popstate', () => {
  const next = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  for (const key of Object.keys(state)) delete state[key];
  Object.assign(state, next);
  draw();
});
let typed;
$('#query').addEventListener('input', event => { clearTimeout(typed); typed = setTimeout(() => setFilter(event.target.value), 120); });
$('#query').addEventListener('keydown', event => {
  if (event.key !== 'Enter' && event.key !== 'ArrowDown') return;
  event.preventDefault();
  clearTimeout(typed);
  if (event.target.value.trim() !== (state.q ?? '')) setFilter(event.target.value);
  $('.list')?.focus();
});
$('#theme').addEventListener('click', theme);
$('#keys').addEventListener('click', () => help.showModal());
$('#home').addEventListener('click', event => { event.preventDefault(); leave(); });

const TEXTS = { none: 'without texts', short: 'texts shortened', full: 'texts in full' };
$('#about').textContent = `codex-trace ${about.version} · ${TEXTS[about.content]}, ${about.redacted ? 'secrets redacted' : 'not redacted'}`
  + (about.prices ? ` · costs are the API's list prices, checked ${about.prices}; a subscription is billed otherwise` : '') + ' · times in UTC';

try {
  rows = readRows(await unpack('rows'));
  document.documentElement.dataset.ready = rows.length;
  draw();
} catch (error) {
  $('#main').replaceChildren(el('p', { class: 'notice', text: 'This page cannot be unpacked: ' + error.message }));
  throw error;
}
