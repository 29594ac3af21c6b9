// Tokens of each call of the root thread, and how full the context window was.
function contextChart(session, pick) {
  const calls = session.spans.filter(span => span.k === 'model_call' && span.t === 0 && span.u);
  if (calls.length < 2) return null;
  const windowOf = span => { for (let up = span.up; up; up = up.up) if (up.window) return up.window; };
  const windows = calls.map(windowOf);
  const most = Math.max(...calls.map(call => call.u[0] + call.u[2]));
  const fill = Math.max(0, ...calls.map((call, nth) => windows[nth] ? call.u[0] / windows[nth] : 0));
  const compacted = [];
  let seen = 0;
  for (const span of session.spans) {
    if (span.t !== 0) continue;
    if (span.k === 'model_call' && span.u) seen++;
    else if (span.k === 'compaction') compacted.push(seen - 0.5);
  }
  const bar = uPlot.paths.bars({ size: [0.8, 24] });
  const series = (fill, paths = bar) => ({ fill, width: 0, points: { show: false }, paths });
  const legend = el('div', { class: 'legend' });
  const tell = nth => {
    const sums = nth === undefined ? [] : [calls[nth].u[1], calls[nth].u[0] - calls[nth].u[1], calls[nth].u[2]];
    legend.replaceChildren(...['cached input', 'other input', 'output'].map((name, at) => el('span', {},
      el('i', { css: { background: [css('--turn'), css('--model'), css('--tool')][at] } }),
      el('span', { text: name + (nth === undefined ? '' : ' ' + grouped(sums[at])) }))),
    el('span', { text: nth === undefined ? fill ? `fullest: ${percent(fill)} of ${tokens(Math.max(...windows.filter(Boolean)))}` : ''
      : `call ${nth + 1}` + (windows[nth] ? ` · window ${percent(calls[nth].u[0] / windows[nth])} full` : '') }),
    el('span', { text: compacted.length && nth === undefined ? '┆ ' + many(compacted.length, 'compaction') : '' }));
  };
  tell();
  const limit = fill > 0.3;
  const chart = plot(132, {
    scales: { x: { time: false, range: [-0.6, calls.length - 0.4] }, y: { range: (_, low, high) => [0, (high || most) * 1.05] } },
    axes: [{ show: false }, axis({ size: 50, values: (_, ticks) => ticks.map(tokens) })],
    series: [{}, series(css('--tool')), series(css('--model')), series(css('--turn')),
      ...(limit ? [{ stroke: css('--bad'), width: 1, dash: [4, 4], points: { show: false } }] : [])],
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    hooks: {
      setCursor: [chart => tell(chart.cursor.idx !== null && chart.cursor.left >= 0 ? chart.cursor.idx : undefined)],
      ready: [chart => chart.over.addEventListener('click', () => { if (chart.cursor.idx !== null) pick(calls[chart.cursor.idx]); })],
      draw: [({ ctx, bbox, valToPos }) => {
        ctx.save();
        ctx.strokeStyle = css('--pack');
        ctx.setLineDash([3, 3]);
        for (const at of compacted) {
          const x = valToPos(at, 'x', true);
          ctx.beginPath(); ctx.moveTo(x, bbox.top); ctx.lineTo(x, bbox.top + bbox.height); ctx.stroke();
        }
        ctx.restore();
      }],
    },
  }, [calls.map((_, nth) => nth), calls.map(call => call.u[0] + call.u[2]), calls.map(call => call.u[0]), calls.map(call => call.u[1]),
    ...(limit ? [windows.map(it => it ?? null)] : [])]);
  chart.setAttribute('role', 'img');
  chart.setAttribute('aria-label', 'Tokens of each model call');
  return el('div', { class: 'panel' }, el('div', { class: 'bar' }, el('h2', { text: 'Tokens of each model call of the main thread' })), chart, legend);
}

function bars(span, axis) {
  const lane = el('span', { class: 'lane' });
  for (const part of axis.parts) {
    if (part.folded && part.x > -1 && part.x < 1) {
      lane.append(el('u', { title: 'idle: ' + lasted(part.to - part.from), css: { left: 100 * part.x + '%', width: 100 * part.width + '%' } }));
    }
  }
  if (span.s !== undefined) {
    const from = axis.place(span.s), to = axis.place(span.e ?? span.s);
    lane.append(el('i', {
      class: span.k + (isBad(span) ? ' failed' : ''),
      css: { left: 100 * Math.max(-1, from) + '%', width: 100 * (Math.min(2, to) - Math.max(-1, from)) + '%' },
    }));
  }
  return lane;
}

// The times at the head of the axis: few enough to be read.
function scale(axis) {
  const lane = el('span', { class: 'lane' });
  let last = -1;
  for (const part of axis.parts) {
    if (part.folded || part.x < 0 || part.x > 0.9 || part.x - last < 0.2) continue;
    const text = (last < 0 ? minute(part.from) : second(part.from));
    lane.append(el('span', { text, css: { left: Math.max(part.x * 100, 0) + '%', transform: 'none' } }));
    last = part.x + (last < 0 ? 0.2 : 0);
  }
  return lane;
}

function waterfall(session, chosen) {
  const closed = new Set();
  const whole = foldedAxis(session.spans);
  let axis = whole, rows = [], found = [];
  const detail = el('aside', { class: 'detail panel', 'aria-label': 'Details' });
  const head = el('div', { class: 'head' });
  const count = el('span', { class: 'dim' });
  const reset = el('button', { type: 'button', text: 'Whole session', hidden: true, onclick: () => zoom(null) });

  const make = nth => {
    const span = rows[nth];
    const [name, more] = label(span, session);
    const fold = span.kids.length > 0 && el('button', {
      type: 'button', class: 'fold', tabindex: -1, text: closed.has(span.nth) ? '▸' : '▾', 'aria-label': 'Fold',
      onclick: event => { event.stopPropagation(); toggle(span); },
    });
    const sum = span.u?.[4] ?? span.sum;
    const row = el('div', { class: 'row ' + span.k + (found.includes(span) ? ' hit' : '') },
      el('span', { class: 'name', css: { 'padding-left': Math.min(span.depth - 1, 12) * 14 + 'px' } },
        fold || el('span', { class: 'fold' }),
        el('b', { text: name, class: isBad(span) ? span.st : null }), el('span', { class: 'line dim', text: more })),
      bars(span, axis),
      el('span', { class: 'n dim', text: span.s !== undefined && span.e !== undefined ? lasted(span.e - span.s) : span.st === 'incomplete' ? 'no end' : '' }),
      el('span', { class: 'n opt2', text: sum ? tokens(sum) : '' }));
    row.addEventListener('dblclick', () => zoom(span));
    return row;
  };
  const show = span => { showDetail(detail, span, session, chosen); go({ at: span.nth }, true); };
  const list = longList('spans', 27, make, nth => show(rows[nth]), {
    moved: nth => rows[nth] && show(rows[nth]),
    keys: {
      ArrowRight: nth => rows[nth]?.kids.length && closed.has(rows[nth].nth) && toggle(rows[nth]),
      ArrowLeft: nth => rows[nth]?.kids.length && !closed.has(rows[nth].nth) ? toggle(rows[nth]) : rows[nth]?.up?.up && pick(rows[nth].up),
      z: nth => zoom(rows[nth]), 0: () => zoom(null),
    },
  });
  const refresh = () => {
    rows = visible(session, closed);
    head.replaceChildren(el('span', { class: 'dim', text: many(rows.length, 'row') }), scale(axis), el('span', { class: 'n dim', text: 'Took' }), el('span', { class: 'n dim opt2', text: 'Tokens' }));
    reset.hidden = axis === whole;
    list.show(rows.length);
  };
  const toggle = span => { if (!closed.delete(span.nth)) closed.add(span.nth); refresh(); };
  const zoom = span => {
    axis = span && span.s !== undefined && span.e > span.s ? zoomed(whole, span.s, span.e) : whole;
    refresh();
  };
  const pick = span => {
    for (let up = span.up; up; up = up.up) closed.delete(up.nth);
    refresh();
    const nth = rows.indexOf(span);
    if (nth >= 0) list.select(nth);
    show(span);
  };
  const search = (text, step) => {
    const wanted = text.toLowerCase();
    found = wanted ? session.spans.filter(span => span.up && searched(span, session).includes(wanted)) : [];
    if (wanted && step) {
      const from = rows[list.active]?.nth ?? 0;
      const next = step > 0 ? found.find(span => span.nth > from) ?? found[0] : found.findLast(span => span.nth < from) ?? found.at(-1);
      if (next) pick(next);
    }
    count.textContent = wanted ? found.length ? `${found.indexOf(rows[list.active]) + 1} of ${found.length}` : 'not found' : '';
    if (!step) refresh();
  };
  const find = el('input', {
    type: 'search', id: 'find', placeholder: 'Find in this session', 'aria-label': 'Find in this session', value: state.find,
    oninput: event => { go({ find: event.target.value }, true); search(event.target.value, 0); },
    onkeydown: event => { if (event.key === 'Enter') { event.preventDefault(); search(event.target.value, event.shiftKey ? -1 : 1); } },
  });
  const flag = (key, on, text, title) => el('button', {
    type: 'button', text, title, 'data-key': key, 'aria-pressed': String(state[key] === on),
    onclick: event => {
      go({ [key]: state[key] === on ? '' : on }, true);
      event.currentTarget.setAttribute('aria-pressed', String(state[key] === on));
      refresh();
    },
  });
  const said = [['', 'All'], ['1', 'Prompts and answers']];
  const sayings = el('span', {});
  const drawSaid = () => sayings.replaceChildren(...choice(said, state.said ?? '', key => { go({ said: key }, true); drawSaid(); refresh(); }));
  drawSaid();
  const many_threads = session.threads.length > 1;
  const node = el('div', { class: 'split' }, el('div', {},
    el('div', { class: 'bar' }, sayings, flag('only', '1', 'Errors only', 'e'),
      many_threads && flag('agents', '0', 'Without subagents', 'a'), reset, find, count),
    el('div', { class: 'water' }, head, list.box)), detail);
  requestAnimationFrame(() => {
    refresh();
    const at = session.spans[Number(state.at)];
    if (at?.up) pick(at);
    else { showDetail(detail, session.spans[0], session, chosen); }
    if (state.find) search(state.find, 0);
    list.box.focus({ preventScroll: true });
  });
  return { node, pick };
}
