// Debian's Chromium with one page, driven by lines of JSON. Its microphone plays a WAV file, again and again.
// In: {"id"} and one of {"run": an expression of the page}, {"until": one that is to become true}, {"screenshot": path,
// "scheme": light or dark}; the end of the input closes the browser.
// Out: {"kind": "done", "id", "value" or "failed"}, what the page told, and what went wrong in it, one object a line.

import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const setup = JSON.parse(process.argv[2]);
const tell = (kind, fields = {}) => process.stdout.write(`${JSON.stringify({ kind, ...fields })}\n`);

const browser = await chromium.launchPersistentContext(setup.profile, {
  executablePath: setup.executable,
  viewport: { width: 1100, height: 860 },
  args: [
    '--headless=new',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--autoplay-policy=no-user-gesture-required',
    '--use-fake-device-for-media-stream',
    '--use-fake-ui-for-media-stream',
    `--use-file-for-fake-audio-capture=${setup.microphone}`,
  ],
});
const page = browser.pages()[0] ?? (await browser.newPage());
await page.exposeFunction('tell', tell);
page.on('pageerror', (error) => tell('error', { message: error.stack ?? String(error) }));
page.on('console', (message) => tell('console', { text: message.text() }));
page.on('crash', () => tell('error', { message: 'the page crashed' }));

// Without an address the page is our own, beside the client's bundle. It comes from loopback, as the server does:
// Chromium lets no other page reach that.
const site = createServer(async ({ url }, response) => {
  const [path, type] = url === '/' ? [setup.page, 'text/html'] : [setup.bundle + basename(url), 'text/javascript'];
  const body = await readFile(path).catch(() => null);
  response.writeHead(body ? 200 : 404, { 'content-type': type }).end(body);
}).listen(0, '127.0.0.1');
await once(site, 'listening');
await page.goto(setup.url ?? `http://127.0.0.1:${site.address().port}/`);
tell('loaded');

async function perform(command) {
  if (command.run) {
    return page.evaluate(command.run);
  }
  if (command.until) {
    await page.waitForFunction(command.until, null, { timeout: 0 });
    return;
  }
  await page.emulateMedia({ colorScheme: command.scheme });
  await page.screenshot({ path: command.screenshot, animations: 'disabled' });
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  perform(command).then(
    (value) => tell('done', { id: command.id, value }),
    (error) => tell('done', { id: command.id, failed: error.stack }),
  );
}
await browser.close();
site.close();
