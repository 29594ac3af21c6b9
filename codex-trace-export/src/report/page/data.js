// Unpacks a block: gzip in base64, one JSON object a line.
async function unpack(id) {
  const node = document.getElementById(id);
  if (!node) return null;
  const bytes = Uint8Array.from(atob(node.textContent), c => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  const objects = [];
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return objects;
    const lines = (rest + value).split('\n');
    rest = lines.pop();
    for (const line of lines) objects.push(JSON.parse(line));
  }
}

const about = JSON.parse($("#facts").textContent);

// The last two parts of a path, the owner and name of a repository.
const tail = path => path.split(/[\\/]/).filter(Boolean).slice(-2).join('/');

// Reads the rows of all sessions.
function readRows(objects) {
  const rows = [];
  let part;
  for (const row of objects) {
    if (row.part) { part = row.part; continue; }
    const nth = rows.length;
    const sums = [0, 0, 0, 0, 0, 0, 0, 0, 0];
    for (const calls of row.u ?? []) for (let n = 2; n < calls.length; n++) sums[n - 2] += calls[n] ?? 0;
    const models = [...new Set((row.u ?? []).map(calls => calls[1]))];
    const project = row.repo ?? row.cwd ?? 'unknown';
    Object.assign(row, {
      nth, part, project, models, label: tail(project),
      title: row.name ?? row.prompt ?? '',
      calls: sums[0], input: sums[1], cached: sums[2], output: sums[4], total: sums[6],
      price: about.prices && (row.u ?? []).some(calls => calls[9] !== null) ? sums[7] : undefined,
      unpriced: sums[8],
      took: row.at !== undefined && row.end !== undefined ? Math.max(0, row.end - row.at) : undefined,
      u: row.u ?? [], tools: row.tools ?? [],
    });
    row.words = [row.id, row.title, row.prompt, project, row.cwd, row.branch, row.source, row.version, row.status,
      ...models].filter(Boolean).join('\n').toLowerCase();
    if (row.id !== undefined) rows.push(row);
    else rows.push(Object.assign(row, { lost: true, words: '', status: 'error' }));
  }
  return rows;
}

const FIELDS = {
  model: (row, text) => row.models.some(it => it.toLowerCase().includes(text)),
  project: (row, text) => row.project.toLowerCase().includes(text),
  tool: (row, text) => row.tools.some(tool => tool[0].toLowerCase().includes(text)),
  status: (row, text) => text === 'failed' ? row.errors > 0 : row.status === text,
  source: (row, text) => (row.source ?? '').toLowerCase().includes(text),
  id: (row, text) => row.id.startsWith(text),
};

const quote = text => /[\s"]/.test(text) || !text ? '"' + text.replaceAll('"', '') + '"' : text;

// Reads a filter: words that must all be there, `field:word`, and `day:FROM..TO`.
function readQuery(text) {
  const words = text.match(/(?:[a-z]+:)?"[^"]*"?|\S+/gi) ?? [];
  const query = { tests: [], from: -Infinity, to: Infinity };
  for (const word of words) {
    const [, key, value] = /^([a-z]+):(.+)$/i.exec(word) ?? [];
    const bare = it => it.replaceAll('"', '').toLowerCase();
    if (key === 'day') {
      const [from, to = from] = value.split('..');
      const number = date => Date.parse(date + 'T00:00:00Z') / 864e5;
      if (!Number.isNaN(number(from))) query.from = number(from);
      if (!Number.isNaN(number(to))) query.to = number(to);
    } else if (key && FIELDS[key]) query.tests.push(row => FIELDS[key](row, bare(value)));
    else if (bare(word)) query.tests.push(row => row.words.includes(bare(word)));
  }
  return query;
}

const within = (query, date) => (date ?? -Infinity) >= query.from && (date ?? Infinity) <= query.to
  || query.from === -Infinity && query.to === Infinity;

function matches(row, query) {
  if (row.lost || !query.tests.every(test => test(row))) return false;
  if (query.from === -Infinity && query.to === Infinity) return true;
  return row.u.some(calls => within(query, calls[0])) || !row.u.length && within(query, Math.floor(row.at / 864e5));
}

// Sums up the calls of rows: all, by model, by project, by day and model, and tools.
function sumUp(rows, query) {
  const blank = () => ({ calls: 0, input: 0, cached: 0, output: 0, total: 0, price: 0, unpriced: 0, sessions: 0, failed: 0, ms: 0 });
  const sums = { all: blank(), model: new Map(), project: new Map(), tool: new Map(), days: new Map(), limits: new Map() };
  const of = (map, key) => map.get(key) ?? map.set(key, blank()).get(key);
  const add = (sum, calls) => {
    sum.calls += calls[2]; sum.input += calls[3]; sum.cached += calls[4]; sum.output += calls[6];
    sum.total += calls[8]; sum.price += calls[9] ?? 0; sum.unpriced += calls[10] ?? 0;
  };
  for (const row of rows) {
    sums.all.sessions++;
    of(sums.project, row.project).sessions++;
    for (const model of row.models) of(sums.model, model).sessions++;
    for (const calls of row.u) {
      if (!within(query, calls[0])) continue;
      for (const sum of [sums.all, of(sums.model, calls[1]), of(sums.project, row.project)]) add(sum, calls);
      if (calls[0] === null) continue;
      const models = sums.days.get(calls[0]) ?? sums.days.set(calls[0], new Map()).get(calls[0]);
      add(of(models, calls[1]), calls);
    }
    for (const [name, n, failed, ms] of row.tools) {
      const tool = of(sums.tool, name);
      tool.calls += n; tool.failed += failed; tool.ms += ms; tool.sessions++;
    }
    for (const [at, minutes, used] of row.limits ?? []) {
      const points = sums.limits.get(minutes) ?? sums.limits.set(minutes, []).get(minutes);
      if (within(query, Math.floor(at / 864e5))) points.push([at, used]);
    }
  }
  return sums;
}

// What the charts and lists can count.
const METRICS = {
  total: ['Tokens', sum => sum.total, tokens],
  fresh: ['Tokens not cached', sum => sum.input - sum.cached + sum.output, tokens],
  output: ['Output tokens', sum => sum.output, tokens],
  calls: ['Model calls', sum => sum.calls, grouped],
  ...(about.prices && { price: ['Cost', sum => sum.price, dollars] }),
};
