const axis = more => ({ stroke: css('--dim'), grid: { stroke: css('--line'), width: 1 }, ticks: { show: false }, font: '11px system-ui', ...more });

// Times at an axis: a month, a day or a minute, whichever is apart enough.
const times = (_, ticks, at, space, step) => ticks.map(tick =>
  step >= 28 * 86400 ? day(tick * 1e3).slice(0, 7) : step >= 86400 ? day(tick * 1e3).slice(5) : minute(tick * 1e3).slice(11));

// Draws a chart that keeps the width of what it is in.
function plot(height, options, data) {
  const box = el('div', { class: 'plot' });
  const size = () => ({ width: Math.max(200, box.clientWidth), height });
  requestAnimationFrame(() => {
    const chart = new uPlot({ ...size(), legend: { show: false }, ...options }, data, box);
    current.plots.push(() => chart.setSize(size()));
  });
  return box;
}

// Returns colors for names: the largest have one of their own.
function colors(sums, weigh) {
  const names = [...sums].sort((a, b) => weigh(b[1]) - weigh(a[1]) || (a[0] < b[0] ? -1 : 1)).map(entry => entry[0]);
  return new Map(names.map((name, nth) => [name, COLORS[Math.min(nth, COLORS.length - 1)]]));
}

const MONDAY = 3; // 1970-01-01 was a Thursday.
const weekOf = date => Math.floor((date + MONDAY) / 7) * 7 - MONDAY;

// Bars of days or weeks, one on the other by model.
function daysChart(sums, metric, select) {
  const [, weigh, show] = METRICS[metric];
  const color = colors(sums.model, weigh);
  const dates = [...sums.days.keys()].sort((a, b) => a - b);
  if (!dates.length) return [el('p', { class: 'notice', text: 'No model calls with a date' })];
  const long = dates.at(-1) - dates[0] > 92;
  const step = (state.by ?? (long ? 'week' : 'day')) === 'week' ? 7 : 1;
  const bucket = date => step === 7 ? weekOf(date) : date;
  const xs = [];
  for (let x = bucket(dates[0]); x <= dates.at(-1); x += step) xs.push(x);
  const shown = [...color.keys()].slice(0, COLORS.length - 1);
  const names = color.size > shown.length ? [...shown, 'other models'] : shown;
  const layers = names.map(() => xs.map(() => 0));
  for (const [date, models] of sums.days) {
    for (const [model, sum] of models) {
      const at = shown.indexOf(model);
      layers[at < 0 ? names.length - 1 : at][(bucket(date) - xs[0]) / step] += weigh(sum);
    }
  }
  // Each series is drawn over those above it.
  const stacked = layers.map((_, nth) => xs.map((_, x) => layers.slice(0, nth + 1).reduce((sum, layer) => sum + layer[x], 0)));
  const series = names.map((name, nth) => ({
    label: name, fill: COLORS[nth], width: 0, points: { show: false }, paths: uPlot.paths.bars({ size: [0.86, 40], align: 1 }),
  })).reverse();
  const legend = el('div', { class: 'legend' });
  const tell = nth => {
    const total = sum => show(sum);
    legend.replaceChildren(...(nth === null || nth === undefined
      ? names.map((name, at) => [name, at]) : [[day(xs[nth] * 864e5) + (step === 7 ? ' +6 days' : ''), -1],
        ...names.map((name, at) => [name + ' ' + total(layers[at][nth]), at]).filter((_, at) => layers[at][nth] > 0)])
      .map(([text, at]) => el('span', {}, at >= 0 && el('i', { css: { background: COLORS[at] } }), el('span', { text }))));
  };
  tell();
  const chart = plot(220, {
    tzDate: at => uPlot.tzDate(new Date(at * 1e3), 'Etc/UTC'),
    scales: { x: { range: () => [xs[0] * 86400, (xs.at(-1) + step) * 86400] }, y: { range: (_, low, high) => [0, high * 1.05 || 1] } },
    axes: [axis({ grid: { show: false }, values: times, size: 26 }), axis({ size: 56, values: (_, ticks) => ticks.map(show) })],
    series: [{}, ...series],
    cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
    hooks: {
      setCursor: [chart => tell(chart.cursor.idx !== null && chart.cursor.left >= 0 ? chart.cursor.idx : undefined)],
      setSelect: [chart => {
        if (chart.select.width < 4) return;
        const at = px => Math.floor(chart.posToVal(px, 'x') / 86400);
        select(at(chart.select.left), at(chart.select.left + chart.select.width));
      }],
    },
  }, [xs.map(x => x * 86400), ...stacked.reverse()]);
  chart.setAttribute('role', 'img');
  chart.setAttribute('aria-label', METRICS[metric][0] + ' by ' + (step === 7 ? 'week' : 'day') + ' and model');
  return [chart, legend];
}

// How much of each rate-limit window was used.
function limitsChart(limits) {
  const windows = [...limits].sort((a, b) => a[0] - b[0]).slice(0, COLORS.length);
  const dates = [...new Set(windows.flatMap(([, points]) => points.map(point => point[0])))].sort((a, b) => a - b);
  const ys = windows.map(([, points]) => { const known = new Map(points); return dates.map(at => known.get(at)); });
  const name = minutes => minutes % 1440 === 0 ? minutes / 1440 + ' d' : minutes % 60 === 0 ? minutes / 60 + ' h' : minutes + ' min';
  const chart = plot(220, {
    tzDate: at => uPlot.tzDate(new Date(at * 1e3), 'Etc/UTC'),
    scales: { y: { range: [0, 105] } },
    axes: [axis({ grid: { show: false }, values: times, size: 26 }), axis({ size: 56, values: (_, ticks) => ticks.map(it => it + ' %') })],
    series: [{}, ...windows.map((_, nth) => ({ stroke: COLORS[nth], width: 1.5, spanGaps: true, points: { size: 4 } }))],
    cursor: { y: false, drag: { x: false, y: false } },
  }, [dates.map(at => at / 1000), ...ys]);
  const legend = el('div', { class: 'legend' }, ...windows.map(([minutes, points], nth) => el('span', {},
    el('i', { css: { background: COLORS[nth] } }),
    el('span', { text: `window of ${name(minutes)}, at most ${Math.max(0, ...points.map(point => point[1]))} % used` }))));
  return [chart, legend];
}

// Names by how much: a click filters.
function ranking(sums, tab, metric) {
  const isTool = tab === 'tool';
  const [, weigh, show] = isTool ? [0, sum => sum.calls, grouped] : METRICS[metric];
  const entries = [...sums[tab]].sort((a, b) => weigh(b[1]) - weigh(a[1]) || (a[0] < b[0] ? -1 : 1));
  const most = Math.max(1e-9, ...entries.map(entry => weigh(entry[1])));
  const rows = entries.slice(0, 200).map(([name, sum]) => el('button', {
    type: 'button', title: name, onclick: () => addFilter(tab, name),
  }, el('span', { class: 'name', text: tab === 'project' ? tail(name) || name : name }),
  el('span', { class: 'more' },
    sum.failed > 0 && el('span', { class: 'bad', text: sum.failed + ' failed' }),
    isTool && el('span', { text: lasted(sum.ms) + ' · ' }),
    el('b', { text: show(weigh(sum)) })),
  el('meter', { min: 0, max: 1, value: weigh(sum) / most, 'aria-hidden': 'true' })));
  return el('div', { class: 'rank' }, ...rows, !rows.length && el('p', { class: 'notice', text: 'None' }));
}

function tiles(sums) {
  const all = sums.all;
  const dates = [...sums.days.keys()].sort((a, b) => a - b);
  const list = [
    [grouped(all.sessions), all.sessions === 1 ? 'session' : 'sessions'],
    [grouped(all.calls), all.calls === 1 ? 'model call' : 'model calls'],
    [tokens(all.total), 'tokens', grouped(all.total) + ' tokens'],
    [all.input ? percent(all.cached / all.input) : '–', 'of input from the cache', `${grouped(all.cached)} of ${grouped(all.input)}`],
    [tokens(all.output), 'output tokens', grouped(all.output) + ' tokens'],
  ];
  if (about.prices) {
    const lacking = all.unpriced ? ` (${tokens(all.unpriced)} tokens have no price)` : '';
    list.push([dollars(all.price) + (all.unpriced ? '+?' : ''), `at list prices of ${about.prices}` + lacking]);
  }
  if (dates.length) list.push([dates.at(-1) - dates[0] + 1 + ' d', `${day(dates[0] * 864e5)} to ${day(dates.at(-1) * 864e5)}`]);
  return el('section', { class: 'tiles', 'aria-label': 'Sums' }, ...list.map(([value, text, title]) =>
    el('div', { class: 'tile', title }, el('b', { text: value }), el('span', { text }))));
}

function charts(sums) {
  const metric = METRICS[state.metric] ? state.metric : 'total';
  const tab = ['model', 'project', 'tool'].includes(state.tab) ? state.tab : 'project';
  const limits = sums.limits.size > 0;
  const chart = limits && state.chart === 'limits' ? 'limits' : 'days';
  const set = changes => { go(changes, true); current.draw(); };
  const by = state.by;
  const pick = el('select', { 'aria-label': 'What to count', onchange: event => set({ metric: event.target.value }) },
    ...Object.entries(METRICS).map(([key, [name]]) => el('option', { value: key, text: name, selected: key === metric })));
  const titles = { model: 'By model', project: 'By project', tool: 'By tool' };
  return el('section', { class: 'charts' },
    el('div', { class: 'panel' },
      el('div', { class: 'bar' },
        el('h2', { text: chart === 'limits' ? 'Rate limits: how much was used' : METRICS[metric][0] + ' by time and model' }),
        ...(limits ? choice([['days', 'Use'], ['limits', 'Rate limits']], chart, key => set({ chart: key === 'days' ? '' : key })) : []),
        ...(chart === 'days' ? [...choice([['day', 'Day'], ['week', 'Week']], by, key => set({ by: key === by ? '' : key })), pick] : [])),
      ...(chart === 'limits' ? limitsChart(sums.limits) : daysChart(sums, metric, (from, to) =>
        setFilter(withoutDays() + ` day:${day(from * 864e5)}..${day(to * 864e5)}`)))),
    el('div', { class: 'panel' },
      el('div', { class: 'bar' }, el('h2', { text: titles[tab] }),
        ...choice([['project', 'Project'], ['model', 'Model'], ['tool', 'Tool']], tab, key => set({ tab: key }))),
      ranking(sums, tab, metric)));
}

const withoutDays = () => (state.q ?? '').replace(/\s*day:\S*/g, '');
const addFilter = (key, name) => setFilter(((state.q ?? '') + ' ' + key + ':' + quote(name)).trim());

function setFilter(text) {
  $('#query').value = text.trim();
  go({ q: text.trim() }, true);
  current.draw();
}
