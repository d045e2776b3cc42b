// The API reference at /docs: it shows the description and has nothing to complain of in it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Server, until } from './harness.mjs';
import { TIMEOUT, stage } from './stage.mjs';

const on = stage();
let server;
before(async () => { server = await Server.start(); }, TIMEOUT);
after(() => server?.stop(), TIMEOUT);

test('the reference finds no errors in the description', TIMEOUT, async () => {
  const { page } = await on.newWindow(server);
  const said = [];
  page.on('console', (message) => said.push(`${message.type()}: ${message.text()}`));
  await page.goto(`${server.url}docs`);
  for (const text of ['/v1/rooms', 'tandem']) {
    await until(`${text} is shown`, () => page.evaluate((t) => document.body.innerText.includes(t), text));
  }
  await page.waitForLoadState('networkidle');
  assert.deepEqual(said.filter((line) => /validat/i.test(line)), []);
});
