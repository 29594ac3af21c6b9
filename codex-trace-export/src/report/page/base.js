// What every view uses. All that is recorded is shown by `textContent` alone.
const $ = (selector, from = document) => from.querySelector(selector);

// Characters that are not seen, or turn the direction of the text around them.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const clean = text => String(text).replace(UNSEEN, c =>
  c === '\r' ? '' : '\\u{' + c.charCodeAt(0).toString(16) + '}');

// Makes an element: `text` is shown as it is, `on…` are listeners, the rest attributes.
function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === 'text') node.textContent = clean(value);
    else if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else if (key === 'css') for (const [name, it] of Object.entries(value)) node.style.setProperty(name, it);
    else node.setAttribute(key, value === true ? '' : clean(value));
  }
  node.append(...children.filter(child => child !== null && child !== undefined && child !== false));
  return node;
}

const pad = n => String(n).padStart(2, '0');
const grouped = n => String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ',');

function tokens(n) {
  for (const [size, unit] of [[1e9, 'B'], [1e6, 'M'], [1e3, 'k']]) {
    // What would round to a thousand of a unit is one of the next.
    if (n >= size * 0.99995) return (n / size).toFixed(n / size < 99.95 ? 1 : 0) + unit;
  }
  return String(Math.round(n));
}

function dollars(n) {
  if (n > 0 && n < 0.005) return '<$0.01';
  const cents = Math.round(n * 100);
  return '$' + grouped(Math.floor(cents / 100)) + '.' + pad(cents % 100);
}

function lasted(ms) {
  if (ms === undefined || Number.isNaN(ms)) return '';
  if (ms < 1000) return Math.round(ms) + ' ms';
  if (ms < 59950) return (ms / 1000).toFixed(1) + ' s';
  const minutes = Math.round(ms / 1000);
  if (minutes < 3600) return Math.floor(minutes / 60) + ' m ' + pad(minutes % 60) + ' s';
  const whole = Math.round(ms / 60000);
  if (whole < 2880) return Math.floor(whole / 60) + ' h ' + pad(whole % 60) + ' m';
  return Math.round(whole / 1440) + ' days';
}

const day = ms => new Date(ms).toISOString().slice(0, 10);
const minute = ms => new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
const second = ms => new Date(ms).toISOString().slice(11, 19);
const percent = part => (100 * part).toFixed(part < 0.1 && part > 0 ? 1 : 0) + ' %';
const many = (n, word) => grouped(n) + ' ' + word + (n === 1 ? '' : 's');
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const COLORS = ['#6366f1', '#14b8a6', '#f59e0b', '#ec4899', '#0ea5e9', '#84cc16', '#a855f7', '#94a3b8'];

// The view is in the address, so that it can be kept and passed on.
const state = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));

function go(changes, keep = false) {
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined || value === '' || value === false) delete state[key];
    else state[key] = String(value);
  }
  const hash = '#' + new URLSearchParams(state);
  if (keep) history.replaceState(null, '', hash);
  else if (hash !== location.hash) history.pushState(null, '', hash);
}

// Puts buttons in a row of which one is pressed.
function choice(options, value, set) {
  return options.map(([key, text]) => el('button', {
    type: 'button', text, 'aria-pressed': String(key === value), onclick: () => set(key),
  }));
}
