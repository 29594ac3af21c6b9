// Reads a session: its spans with what is below them, and the sums of turns and threads.
function readSession(objects) {
  const [{ threads }, ...spans] = objects;
  spans.forEach((span, nth) => {
    Object.assign(span, { nth, kids: [], up: span.p === undefined ? undefined : spans[span.p] });
    span.up?.kids.push(span);
    span.depth = span.up ? span.up.depth + 1 : 0;
    if (span.k === 'turn' || span.k === 'thread') Object.assign(span, { sum: 0, calls: 0, price: 0 });
    if (span.k !== 'model_call') return;
    for (let up = span.up; up && up.t === span.t; up = up.up) {
      if (up.sum === undefined) continue;
      up.sum += span.u?.[4] ?? 0;
      up.price += span.c ?? 0;
      up.calls++;
    }
  });
  return { threads, spans };
}

// A time axis on which idle time is folded: bits of time, each with its place in 0..1.
function foldedAxis(spans) {
  const busy = spans.filter(span => span.s !== undefined && !span.kids.length)
    .map(span => [span.s, Math.max(span.e ?? span.s, span.s)]).sort((a, b) => a[0] - b[0]);
  const bits = [];
  for (const [from, to] of busy) {
    const last = bits.at(-1);
    if (last && from <= last.to) last.to = Math.max(last.to, to);
    else bits.push({ from, to });
  }
  const total = bits.reduce((sum, bit) => sum + bit.to - bit.from, 0);
  const idle = Math.max(30e3, total * 0.04);
  const parts = [];
  for (const bit of bits) {
    const last = parts.at(-1);
    if (last && bit.from - last.to < idle) last.to = bit.to;
    else {
      if (last) parts.push({ from: last.to, to: bit.from, folded: true });
      parts.push({ ...bit });
    }
  }
  const folds = parts.filter(part => part.folded).length;
  const fold = Math.min(0.014, 0.25 / Math.max(1, folds));
  const shown = parts.reduce((sum, part) => sum + (part.folded ? 0 : part.to - part.from), 0);
  let x = 0;
  for (const part of parts) {
    part.x = x;
    part.width = part.folded ? fold : shown ? (part.to - part.from) / shown * (1 - folds * fold) : 1 / parts.length;
    x += part.width;
  }
  const place = at => {
    let low = 0, high = parts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (parts[middle].from <= at) low = middle; else high = middle - 1;
    }
    const part = parts[low];
    if (!part) return 0;
    const within = part.to > part.from ? (at - part.from) / (part.to - part.from) : 0;
    return part.x + part.width * Math.max(0, Math.min(1, within));
  };
  return { parts, place, from: parts[0]?.from, to: parts.at(-1)?.to };
}

// The part of an axis between two times, as an axis.
function zoomed(axis, from, to) {
  const [low, high] = [axis.place(from), axis.place(to)];
  const scale = high > low ? 1 / (high - low) : 1;
  const move = x => (x - low) * scale;
  const parts = axis.parts.map(part => ({ ...part, x: move(part.x), width: part.width * scale }));
  return { parts, place: at => move(axis.place(at)), from, to };
}

const one = text => (text ?? '').replace(/\s+/g, ' ').trim().slice(0, 300);

// What a span is called, and what tells it from others.
function label(span, session) {
  const thread = session.threads[span.t];
  switch (span.k) {
    case 'thread': {
      const who = [thread.nickname, thread.role].filter(Boolean).join(', ') || thread.name;
      return [span.t === 0 ? 'Session' : 'Subagent', who ?? (thread.id ?? '').slice(0, 13)];
    }
    case 'turn': return [span.n.replace(/^turn/, 'Turn'), one(span.in)];
    case 'model_call': return [span.md ?? 'Model call', span.compacts ? 'compacts the history' : one(span.out ?? span.rs)];
    case 'compaction': return ['Compaction', one(span.out)];
    default: return [span.n, one(span.in)];
  }
}

const searched = (span, session) => span.words ??= [...label(span, session), span.in, span.out, span.rs, span.m,
  ...(span.ev ?? []).map(event => event.text)].filter(Boolean).join('\n').toLowerCase();

const isBad = span => span.st === 'error' || span.st === 'interrupted';
// What a person or the agent said, rather than did.
const isSaid = span => span.k === 'turn' || span.k === 'model_call' && Boolean(span.out)
  || (span.ev ?? []).some(event => event.k === 'steering');

// The spans to show, in order, under the switches of the view and what is folded.
function visible(session, closed) {
  const needed = new Set();
  const only = state.only === '1', said = state.said === '1', agents = state.agents !== '0';
  for (const span of session.spans) {
    if (only && !isBad(span) || said && !isSaid(span) || !agents && span.t > 0) continue;
    for (let up = span; up && !needed.has(up); up = up.up) needed.add(up);
  }
  const rows = [];
  const walk = span => {
    if (!needed.has(span) || !agents && span.t > 0) return;
    if (span.up) rows.push(span);
    if (!closed.has(span.nth)) span.kids.forEach(walk);
  };
  if (session.spans[0]) walk(session.spans[0]);
  return rows;
}
