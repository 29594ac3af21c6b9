// All that is known of a span, beside the list.
function showDetail(box, span, session, row) {
  if (!span) return box.replaceChildren(el('p', { class: 'notice', text: 'Nothing was recorded in this session' }));
  const [name, more] = label(span, session);
  const thread = session.threads[span.t];
  const facts = [
    ['Status', span.st ?? 'ok', span.st ?? 'ok'], ['Message', span.m],
    ['Started', span.s !== undefined && minute(span.s).slice(0, 11) + second(span.s) + ' UTC'],
    ['Took', span.s !== undefined && span.e !== undefined && lasted(span.e - span.s) + (span.outlives ? ', beyond what called it' : '')],
    ['Model', [span.md, span.ef, span.tier].filter(Boolean).join(', ')],
    ['Tokens', span.u && `${grouped(span.u[0])} in (${grouped(span.u[1])} cached), ${grouped(span.u[2])} out (${grouped(span.u[3])} reasoning)`],
    ['Tokens', span.sum > 0 && `${grouped(span.sum)} in ${many(span.calls, 'call')}` + (session.threads.length > 1 ? ' of its own thread' : '')],
    ['Cost', about.prices && (span.c ?? span.price) > 0 && dollars(span.c ?? span.price)],
    ['Exit code', span.exit], ['MCP server', span.mcp], ['Family', span.fam],
    ['Fate', span.fate === 'rolled_back' ? 'taken back by the user' : span.fate],
    ['Provider', span.k === 'thread' && thread.provider], ['Directory', span.k === 'thread' && thread.cwd],
    ['Forked from', span.k === 'thread' && thread.forked],
    ['Thread', (span.t > 0 || span.k === 'thread') && thread.id],
  ];
  const file = thread.files?.[span.f] ?? thread.files?.[0];
  const place = file && `${file}:${span.l[0]}`;
  const list = el('dl', {}, ...facts.filter(fact => fact[1] !== undefined && fact[1] !== false && fact[1] !== '').flatMap(([key, value, kind]) =>
    [el('dt', { text: key }), el('dd', { text: value, class: kind })]));
  if (place) {
    list.append(el('dt', { text: 'Recorded in' }), el('dd', { text: place + (span.l[1] > span.l[0] ? '–' + span.l[1] : '') }));
  }
  const titles = { turn: ['Prompt', 'Answer'], tool_call: ['Input', 'Output'], compaction: ['', 'Summary'] }[span.k] ?? ['Input', 'Answer'];
  const texts = [['Reasoning', span.rs], [titles[0], readable(span.in)], [titles[1], readable(span.out)],
    ...(span.ev ?? []).map(event => [event.k.replaceAll('_', ' ') + (event.at ? ' at ' + second(event.at) : '') + `, line ${event.l}`, event.text ?? ''])];
  box.replaceChildren(el('h2', { text: span.k === 'turn' ? name : span.up ? name : 'Session ' + (row.id ?? '') }), list,
    ...texts.filter(text => text[1] !== undefined).flatMap(([title, text]) =>
      [el('h3', { text: title }), text !== '' && el('pre', { tabindex: 0 }, ...marked(text))]));
  if (about.content === 'none' && span.up) box.append(el('p', { class: 'dim', text: 'Texts were left out of this report.' }));
  box.scrollTop = 0;
}

// Arguments that are JSON are shown as such.
function readable(text) {
  if (!text || !/^[[{]/.test(text)) return text;
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}

// The text, with what is looked for marked.
function marked(text) {
  const wanted = (state.find ?? '').toLowerCase();
  const shown = clean(text);
  if (!wanted) return [shown];
  const parts = [];
  let from = 0;
  for (let at; parts.length < 400 && (at = shown.toLowerCase().indexOf(wanted, from)) >= 0; from = at + wanted.length) {
    parts.push(shown.slice(from, at), el('mark', { text: shown.slice(at, at + wanted.length) }));
  }
  return [...parts, shown.slice(from)];
}
