// The hook that is asked before each post: how an owner sets it, and what authors and moderators see of its answers.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { Webhook } from 'standardwebhooks';
import { Server, until } from './harness.mjs';
import { showing, stage } from './stage.mjs';

const on = stage();
let server;
let secret;
const asked = [];
const hook = createServer(async (req, res) => {
  let body = '';
  for await (const part of req) body += part;
  new Webhook(secret).verify(body, req.headers);
  const question = JSON.parse(body);
  asked.push(question);
  const answer = /pills/.test(question.message) ? { refuse: 'please sell nothing here.' } : /casino/.test(question.message) ? { marks: ['spam', 'money'] } : {};
  res.end(JSON.stringify(answer));
});

before(async () => {
  hook.listen(0, '127.0.0.1');
  await once(hook, 'listening');
  server = await Server.start('--hooks-allow=127.0.0.1/32');
});
after(async () => {
  hook.close();
  await server?.stop();
});

test('an owner sets the hook; a refused message shows its reason and can be edited; moderators see marks', async () => {
  const [ada] = [await server.person('ada'), await server.person('bob')];
  await ada.call('POST', 'v1/rooms', { name: 'forum' });
  const boss = await on.newWindow(server);
  await boss.enter('login', 'ada');
  const panel = boss.page.locator('.before-post');
  await boss.page.goto(`${server.url}#/rooms/forum/settings`);
  await panel.locator('[name=before-url]').fill('http://169.254.169.254/');
  await panel.locator('form button:not([type])').click();
  await until('an internal address is refused', () => panel.locator('.field .error').isVisible());
  const url = `http://127.0.0.1:${hook.address().port}/`;
  await panel.locator('[name=before-url]').fill(url);
  await panel.locator('[name=before-failure]').selectOption('closed');
  await panel.locator('form button:not([type])').click();
  secret = await until('the secret is shown', () => panel.locator('.once code').textContent());
  assert.deepEqual(await ada.call('GET', 'v1/rooms/forum/before-post'), { url, on_failure: 'closed' });

  const win = await on.joined('login', 'bob', 'forum', undefined, server);
  const { page } = win;
  const box = page.locator('[name=message]');
  await win.say('buy my pills');
  const failed = page.locator('.row.failed');
  await until('the refusal is shown', async () => /Not sent\. Please sell nothing here\./.test(await failed.innerText()));
  await failed.locator('.rewrite').click();
  await until('the text is back in the composer', async () => await box.inputValue() === 'buy my pills' && (await failed.count()) === 0);
  assert.equal(await page.evaluate(() => document.activeElement.name), 'message');
  await box.fill('hello');
  await box.press('Enter');
  await showing(win, 1);

  await box.press('ArrowUp'); // edits are checked too
  await until('the message is being edited', async () => await box.inputValue() === 'hello');
  await box.fill('hello, pills');
  await box.press('Enter');
  await until('the refusal is shown', async () => /Please sell nothing here\./.test(await page.locator('.problem').innerText()));
  assert.equal(await box.inputValue(), 'hello, pills', 'the text stays in the composer');
  assert.deepEqual(await win.texts(), ['hello']);
  await box.press('Escape');

  await win.say('come to my casino');
  await showing(win, 2);
  await boss.page.goto(`${server.url}#/rooms/forum`);
  await showing(boss, 2);
  const marks = boss.page.locator('.row', { hasText: 'casino' }).locator('.mark');
  await until('the marks are shown', async () => (await marks.allInnerTexts()).join() === 'spam,money');
  assert.equal(await boss.page.locator('.row .mark').count(), 2, 'only the marked message has marks');
  assert.equal(await page.locator('.row .mark').count(), 0, 'the author, not a moderator, sees no marks');
  assert.deepEqual(asked.map(({ message, message_id }) => message + (message_id ? ' edited' : '')), ['buy my pills', 'hello', 'hello, pills edited', 'come to my casino']);

  await boss.page.goto(`${server.url}#/rooms/forum/settings`);
  await until('the saved URL is shown', async () => await panel.locator('[name=before-url]').inputValue() === url);
  assert.equal(await panel.locator('.once').count(), 0, 'the secret is not shown again');
  await panel.locator('.danger').click();
  await panel.locator('.danger').click();
  await until('the URL is removed', async () => (await panel.locator('.danger').count()) === 0);
  await win.say('pills at last');
  await showing(win, 3);
});

test('a refused message keeps its files and its reply', async () => {
  const [eve] = [await server.person('eve'), await server.person('flo')];
  await eve.call('POST', 'v1/rooms', { name: 'files' });
  ({ secret } = await eve.call('PUT', 'v1/rooms/files/before-post', { url: `http://127.0.0.1:${hook.address().port}/` }));
  await eve.say('files', 'what is new?');
  const win = await on.joined('login', 'flo', 'files', undefined, server);
  const { page } = win;
  await showing(win, 1);
  await page.locator('.row').hover();
  await page.click('.row .more');
  await page.locator('.menu [role=menuitem]', { hasText: 'Reply' }).first().click();
  await page.setInputFiles('.composer [type=file]', { name: 'list.txt', mimeType: 'text/plain', buffer: Buffer.from('bytes') });
  await win.say('pills');
  await page.click('.row.failed .rewrite');
  await until('text and quote are back in the composer', async () => await page.inputValue('[name=message]') === 'pills' && /Replying to eve: what is new\?/.test(await page.innerText('.composer')) && /list\.txt/.test(await page.innerText('.composer')));
  await win.say('nothing');
  await until('the reply is sent', async () => {
    const { items } = await eve.call('GET', 'v1/rooms/files/messages');
    const last = items.find(({ message }) => message === 'nothing');
    return last?.reply_to && last.files?.[0].name === 'list.txt';
  });
});
