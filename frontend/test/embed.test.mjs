// The three ways in docs/embed.md in a browser: the built page, with the backends for Node.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PASSWORD, Server, launch, until } from './harness.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

/** A backend: its URL, and how to stop it. */
async function shop(way, env) {
  const file = fileURLToPath(new URL(`../examples/embed/${way}/server.mjs`, import.meta.url));
  const child = spawn(process.execPath, [file], { env: { ...process.env, ...env, PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (data) => {
    said += data;
  });
  await until('the backend is listening', () => said.includes('\n'));
  return { url: said.trim(), end: () => child.kill() };
}

async function enter(page, url, name, how) {
  await page.goto(url);
  await page.fill('[name=name]', name);
  await page.fill('[name=password]', PASSWORD);
  await page.click(`[value=${how}]`);
  await until(`${name} is logged in`, async () => (await page.textContent('#me')) === name);
}

const said = (page) => page.$$eval('#messages li', (all) => all.map((line) => line.textContent));

async function say(page, text) {
  await page.fill('[name=text]', text);
  await page.click('#post button');
}

for (const way of ['accounts', 'sessions', 'issuer']) {
  test(`a page with a chat, ${way}`, async () => {
    const server = await Server.start('--admin', `root:${PASSWORD}`);
    const faults = [];
    let backend;
    const contexts = [await browser.newContext(), await browser.newContext()];
    try {
      const root = await server.person('root', 'login');
      const { token } = await root.call('POST', 'v1/tokens', { name: 'shop', ...(way === 'sessions' && { scopes: ['sessions'] }) });
      backend = await shop(way, { TANDEM_URL: server.url.replace(/\/$/, ''), TANDEM_TOKEN: token });
      // Pages of another origin may call it, and only the issuer's tokens count.
      const issuer = ['--jwks-url', `${backend.url}/jwks.json`, '--jwt-issuer', 'shop', '--jwt-audience', 'chat'];
      server.options = ['--origins', backend.url, ...(way === 'issuer' ? issuer : [])];
      await server.end('SIGTERM');
      await server.run();

      const [ann, ben] = await Promise.all(contexts.map(async (context) => {
        const page = await context.newPage();
        page.on('pageerror', (err) => faults.push(String(err)));
        return page;
      }));
      await enter(ann, backend.url, 'ann', 'signup');
      await enter(ben, backend.url, 'ben', 'signup');
      await say(ann, 'hi <b>ben</b>');
      await until("ben has ann's message", async () => (await said(ben)).includes('ann: hi <b>ben</b>'));
      await say(ben, 'hi ann');
      await until("ann has ben's message", async () => (await said(ann)).includes('ben: hi ann'));
      if (way === 'accounts') {
        const order = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"number":7,"item":"a ship"}' };
        assert.equal((await fetch(`${backend.url}/orders`, order)).status, 201);
        await until('ben has the message of the backend', async () => (await said(ben)).includes('root: Order 7: a ship'));
      }
      // A returning user sees the earlier messages.
      await enter(ann, backend.url, 'ann', 'login');
      await until('the message is back after a reload', async () => (await said(ann)).includes('ben: hi ann'));
      assert.deepEqual(faults, []);
    } finally {
      await Promise.all(contexts.map((context) => context.close()));
      backend?.end();
      await server.stop();
    }
  });
}
