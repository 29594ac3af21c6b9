// Takes a picture of a page and prints its text.
// usage: node screenshot.mjs URL OUT.png [TEXT TO CLICK]...     needs: install.sh browser
import { createRequire } from 'node:module';
import { homedir } from 'node:os';

const cache = process.env.XDG_CACHE_HOME || `${homedir()}/.cache`;
const servers = process.env.SERVERS || `${cache}/codex-trace/servers`;
const { chromium } = createRequire(`${servers}/browser/`)('playwright-core');
const [url, out, ...clicks] = process.argv.slice(2);

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu'],
});
try {
  const page = await browser.newPage({ viewport: { width: 1600, height: 1000 } });
  await page.goto(url, { timeout: 60000 });
  const settle = async () => {
    await page.waitForLoadState('networkidle', { timeout: 8000 }).catch(() => {});
    await page.waitForTimeout(2000);
  };
  await settle();
  for (const text of ['Got it', ...clicks]) {
    const target = page.getByText(text, { exact: true }).filter({ visible: true }).first();
    if (text === 'Got it' && !(await target.count())) continue;
    const failed = await target.click({ timeout: 5000 }).catch((error) => error);
    if (failed && text !== 'Got it') throw failed;
    await settle();
  }
  await page.screenshot({ path: out });
  console.log(await page.evaluate(() => document.body.innerText));
} finally {
  await browser.close();
}
