// Mentions: completed, shown, counted separately from unread messages, listed, and notified on the desktop.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from './harness.mjs';
import { showing, stage } from './stage.mjs';

const on = stage('ada', 'adam', 'bob', 'мария', 'zoe');
const { joined, newWindow } = on;

test('a name is completed with the keyboard, and shown as a mention', async () => {
  await on.people.adam.enter('names');
  await on.people.adam.say('names', 'hello');
  const bob = await joined('login', 'bob', 'names', 'ws');
  const ada = await joined('login', 'ada', 'names', 'sse');
  const { page } = bob;
  const box = page.locator('[name=message]');
  const options = () => page.$$eval('.mentions [role=option] b', (all) => all.map((b) => b.textContent));
  await box.pressSequentially('hi @a');
  await until('adam, the latest author, is offered first', async () => /^adam,ada/.test((await options()).join()));
  assert.ok(await box.getAttribute('aria-activedescendant'));
  await box.press('ArrowDown');
  await until('ada is selected', async () => await page.textContent('.mentions [aria-selected=true] b') === 'ada');
  await box.press('Enter');
  assert.equal(await box.inputValue(), 'hi @ada ');
  await box.pressSequentially('and @мар');
  await until('the directory offers мария', async () => (await options()).join() === 'мария');
  await box.press('Tab');
  assert.equal(await box.inputValue(), 'hi @ada and @мария ');
  await box.pressSequentially('or @z');
  await until('zoe is offered', async () => (await options()).join() === 'zoe');
  await box.press('Escape');
  await until('the list is closed', async () => await page.locator('.mentions').count() === 0);
  await box.pressSequentially(' not a@ada');
  assert.equal(await page.locator('.mentions').count(), 0); // an email address
  await box.press('Enter');

  const marks = (win) => win.page.$$eval('.text .mention', (all) => all.map((m) => [m.textContent, m.classList.contains('mine')]));
  await until('bob sees both mentions marked', async () => (await marks(bob)).length === 2);
  assert.deepEqual(await marks(bob), [['@ada', false], ['@мария', false]]);
  await until('ada sees both mentions marked', async () => (await marks(ada)).length === 2);
  assert.deepEqual(await marks(ada), [['@ada', true], ['@мария', false]]);
});

test('mentions are counted separately, listed, and lead to their message', async () => {
  const { ada } = on.people;
  await on.people.bob.enter('work');
  await ada.enter('work');
  const win = await joined('login', 'bob', 'elsewhere', 'ws');
  const { page } = win;
  await page.click('nav footer a:has-text("Mentions")');
  await until('the list of mentions is empty', () => page.isVisible('.none'));
  const { id } = await ada.say('work', 'nothing for you');
  await ada.say('work', 'but this, @bob.');
  const reply = await ada.call('POST', 'v1/rooms/work/messages', { message: 'and **this** @bob', thread: id });
  const badge = async () => (await page.locator('nav .item:has-text("work") .mentions').allTextContents()).join();
  await until('the badge counts two mentions', async () => (await badge()).startsWith('@2'));
  assert.equal(await win.unread('work'), 2); // the thread is not in the main line
  await until('both are listed, latest first', async () => (await page.locator('.page li .text').allTextContents()).join('|') === 'and this @bob|but this, @bob.');
  await page.reload();
  await until('the server counts the same', async () => (await badge()).startsWith('@2') && await win.unread('work') === 2);

  await page.locator('.page li', { hasText: 'but this' }).locator('.show').click();
  await win.at('work');
  await until('the message is highlighted', () => page.isVisible('.row.marked:has-text("but this")'));
  await until('the mention in the thread is still unread', async () => (await badge()).startsWith('@1') && await win.unread('work') === 0);
  await page.click('nav footer a:has-text("Mentions")');
  await page.locator('.page li', { hasText: 'in a thread' }).locator('.show').click();
  await until('the thread is open', () => page.isVisible('.thread .text:has-text("and this @bob")'));
  await until('no mention is unread', async () => await badge() === '');

  // A push does not say that its message is in a thread.
  await page.goto(`${on.server.url}#/rooms/work?at=${reply.id}`);
  await until('the thread is open', () => page.isVisible('.thread .text:has-text("and this @bob")'));
});

test('a notification is shown while no tab is visible, once for all tabs, and only if the user wants it', async () => {
  const { ada } = on.people;
  for (const name of ['ada', 'zoe']) await on.people[name].enter('ring');
  const win = await newWindow();
  await win.context.grantPermissions(['notifications']);
  const told = [];
  await win.context.exposeFunction('told', (title, body, tag) => told.push([title, body, tag]));
  await win.context.addInitScript(() => {
    window.hide = (hidden) => {
      Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    };
    window.badges = [];
    navigator.setAppBadge = async (n) => { window.badges.push(n); };
    navigator.clearAppBadge = async () => { window.badges.push(0); };
    window.asked = 0;
    let permission = 'default';
    window.Notification = class {
      static get permission() { return permission; }
      static async requestPermission() { window.asked++; localStorage.granted = permission = 'granted'; return permission; }
      constructor(title, { body, tag }) { window.told(title, body, tag); }
      close() {}
    };
    if (localStorage.granted) permission = 'granted';
  });
  await win.enter('login', 'zoe');
  await win.go('ring');
  assert.equal(await win.page.evaluate(() => window.asked), 0);
  const say = (message) => ada.say('ring', message);
  await win.page.evaluate(() => window.hide(true));
  await say('@zoe are you there?');
  await until('the app badge counts 1', () => win.page.evaluate(() => window.badges.at(-1) === 1));
  await until('the message is shown', async () => (await win.texts()).length === 1);
  assert.deepEqual(told, []); // no permission was given
  await win.page.evaluate(() => window.hide(false));
  await win.page.click('.asking button:has-text("Turn on")');
  await until('the browser asked for permission', () => win.page.evaluate(() => window.asked === 1));
  await until('the question is hidden', async () => await win.page.locator('.asking').count() === 0);

  const other = await win.context.newPage();
  await other.goto(`${on.server.url}#/rooms/ring`);
  await until('the other tab is live', async () => await other.locator('.row').count() === 1);
  await say('@zoe one tab is on the screen');
  await until('the message is in both tabs', async () => await other.locator('.row').count() === 2);
  for (const page of [win.page, other]) await page.evaluate(() => window.hide(true));
  await say('nobody is meant');
  await say('@zoe now');
  await ada.call('POST', 'v1/private/zoe/messages', { message: 'psst' });
  await until('two notifications were shown', () => told.length === 2);
  await say('the last one');
  await until('the messages are in both tabs', async () => await other.locator('.row').count() === 5 && (await win.texts()).length === 5);
  assert.deepEqual(told.map(([title, body]) => [title, body]), [['ada in ring', '@zoe now'], ['ada', 'psst']]);
});
