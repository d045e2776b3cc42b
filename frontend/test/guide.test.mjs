// The guide at /guide, if `make docs` has built it into the binary: every page renders without browser errors, and its
// links lead to existing pages.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { order } from '../guide/order.mjs';
import { Server } from './harness.mjs';
import { stage } from './stage.mjs';

const on = stage();
let server;
before(async () => { server = await Server.start(); });
after(() => server?.stop());

test('the guide is served, and its links work', async (t) => {
  const { status } = await fetch(`${server.url}guide`);
  if (status === 404 && process.env.TANDEM_REQUIRE !== 'all') return t.skip('not in this binary: make docs build');
  assert.equal(status, 200);
  const { page } = await on.newWindow(server);
  const said = [];
  page.on('console', (message) => { if (message.type() === 'error') said.push(message.text()); });
  page.on('pageerror', (err) => said.push(err.message));
  page.on('response', (res) => { if (res.status() >= 400) said.push(res.url()); });
  const links = new Set();
  const pages = order.flatMap(([, ...pages]) => pages);
  for (const [file] of pages) {
    await page.goto(`${server.url}guide/${file}`);
    assert.ok(await page.locator('main h1').count() > 0, `${file} has a title`);
    const found = await page.locator('a[href^="/"], a[href^="."]').evaluateAll((all) => all.map((a) => a.href.replace(/#.*/, '')));
    found.forEach((link) => links.add(link));
  }
  assert.ok(links.size >= pages.length);
  for (const link of links) assert.equal((await fetch(link)).status, 200, link);
  // With a click, as a reader does: without reloading.
  await page.locator('.VPSidebar a', { hasText: 'How it works' }).click();
  await page.waitForURL('**/guide/how-it-works');
  // The address changes before the page's script has loaded.
  await page.locator('main img').nth(2).waitFor();
  assert.equal(await page.locator('main img').count(), 3);
  assert.deepEqual(said, []);
});
