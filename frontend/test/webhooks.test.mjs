// A room's hooks, and the site's, as their owners see them: progress, failures, and actions.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { Server, until } from './harness.mjs';
import { stage } from './stage.mjs';

const on = stage();
let server;
let status = 204;
const batches = [];
const receiver = createServer(async (req, res) => {
  let body = '';
  for await (const part of req) body += part;
  if (status < 300) batches.push(JSON.parse(body));
  res.writeHead(status).end();
});

before(async () => {
  receiver.listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  server = await Server.start('--hooks-allow=127.0.0.0/8');
});
after(async () => {
  receiver.close();
  await server?.stop();
});

test('an owner creates a hook, tests it, sees it fail, pauses it, replays and deletes it', async () => {
  const ada = await server.person('ada');
  await ada.call('POST', 'v1/rooms', { name: 'ops' });
  const win = await on.newWindow(server);
  const { page } = win;
  await win.enter('login', 'ada');
  await page.goto(`${server.url}#/rooms/ops/settings`);
  await page.fill('[name=hook-url]', 'http://169.254.169.254/');
  await page.click('.hooks form > button');
  await until('an internal address is refused', () => page.isVisible('.hooks .field .error'));
  await page.fill('[name=hook-url]', `http://127.0.0.1:${receiver.address().port}/`);
  await page.fill('[name=hook-events]', 'chat_message');
  await page.click('.hooks form > button');
  await until('the secret is shown', async () => /^whsec_/.test(await page.textContent('.hooks .once code')));
  const row = page.locator('.hooks li');
  assert.match(await row.innerText(), /Active[\s\S]*chat_message[\s\S]*up to date/);

  await row.locator('.test').click();
  await until('the test result is shown', async () => /Returned 204/.test(await row.locator('.tested').innerText()));
  assert.ok(batches.some((batch) => batch.test));
  await ada.say('ops', 'one');
  const got = (text) => batches.flatMap((batch) => batch.events).filter((event) => event.message === text).length;
  await until('the event is delivered', () => got('one') === 1);

  status = 500;
  await row.locator('.test').click();
  await until('the failed test is shown', async () => /The test failed/.test(await row.locator('.tested').innerText()));
  await ada.say('ops', 'two');
  await until('the hook is failing', async () => (await row.getAttribute('data-state')) === 'failing');
  assert.match(await row.innerText(), /1 event behind[\s\S]*Last error: [\s\S]*500/);
  await row.locator('.pause').click();
  await until('the hook is paused', async () => (await row.getAttribute('data-state')) === 'paused');
  status = 204;
  await row.locator('.pause').click();
  await until('the missed event is delivered', () => got('two') === 1);
  await until('the hook is active again', async () => (await row.getAttribute('data-state')) === 'active');

  await row.locator('.again').click();
  await row.locator('.replay button').click();
  await until('all events are delivered again', () => got('one') === 2 && got('two') === 2);
  await page.reload();
  await until('the secret is not shown again', async () => (await row.count()) === 1 && (await page.locator('.hooks .once').count()) === 0);
  await row.locator('.danger').click();
  await row.locator('.danger').click();
  await until('the hook is deleted', async () => (await row.count()) === 0);
});
