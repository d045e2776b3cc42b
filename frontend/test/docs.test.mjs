// The API reference at /docs shows openapi.yaml and reports no errors in it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Server, until } from './harness.mjs';
import { stage } from './stage.mjs';

const on = stage();
let server;
before(async () => { server = await Server.start(); });
after(() => server?.stop());

test('the reference finds no errors in openapi.yaml', async () => {
  const { page } = await on.newWindow(server);
  const said = [];
  page.on('console', async (message) => {
    const [found] = await Promise.all(message.args().map((arg) => arg.jsonValue().catch(() => undefined)));
    if (Array.isArray(found)) said.push(...found.map((error) => `${error.path}: ${error.message}`));
  });
  await page.goto(`${server.url}docs`);
  for (const text of ['/v1/rooms', 'tandem']) {
    await until(`${text} is shown`, () => page.evaluate((t) => document.body.innerText.includes(t), text));
  }
  await page.waitForLoadState('networkidle');
  // It wants every schema to have a type, which "a number or an object" cannot have in OpenAPI 3.0.
  assert.deepEqual(said, ['/components/schemas/Thread: Expected union value']);
});
