// Threads: beside the room, over it on a phone, with a count at their root.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from './harness.mjs';
import { showing, stage } from './stage.mjs';

const on = stage('ada', 'bob');
const { joined, newWindow } = on;
const thread = (win) => win.page.$$eval('.thread .row .text', (all) => all.map((el) => el.textContent));
const main = (win) => win.page.$$eval('.room > .chat .row .text', (all) => all.map((el) => el.textContent));
const replies = async (win) => (await win.page.locator('.room > .chat .replies').allInnerTexts()).map((s) => s.replace(/\s+/g, ' ').trim());

test("a thread's messages are shown there only, and counted at its root", async () => {
  const { ada } = on.people;
  await ada.enter('dev');
  await ada.say('dev', 'which release?');
  const win = await joined('login', 'bob', 'dev', 'ws');
  const other = await joined('login', 'ada', 'dev', 'sse');
  await win.page.hover('.row');
  await win.page.click('.row .more');
  await win.page.click('.menu >> text=Reply in thread');
  await until('the thread starts with the message', async () => (await thread(win)).join() === 'which release?');
  await until('its composer has the focus', () => win.page.evaluate(() => document.activeElement.matches('.thread [name=message]')));
  await win.page.keyboard.type('the next one');
  await win.page.keyboard.press('Enter');
  await until('ada sees the reply count', async () => (await replies(other)).join() === '1 reply last reply by bob');
  assert.deepEqual(await main(other), ['which release?']);
  await other.page.click('.replies');
  await until('ada sees the reply', async () => (await thread(other)).join('|') === 'which release?|the next one');
  await other.page.fill('.thread [name=message]', 'good');
  await other.page.press('.thread [name=message]', 'Enter');
  for (const each of [win, other]) {
    await until('both users see the reply', async () => (await thread(each)).join('|') === 'which release?|the next one|good');
    await until('both users see the reply count', async () => (await replies(each)).join() === '2 replies last reply by ada');
    assert.deepEqual(await main(each), ['which release?']);
  }
  await win.page.reload();
  await until('the thread is back after a reload', async () => (await thread(win)).length === 3 && (await replies(win)).join() === '2 replies last reply by ada');
  await win.page.press('.thread [name=message]', 'Escape');
  await until('the thread is closed', async () => await win.page.locator('.thread').count() === 0);
  await until('the user list is back', () => win.page.isVisible('.here'));

  // In a menu, Escape closes that alone.
  await other.page.hover('.thread .row:has-text("good")');
  await other.page.click('.thread .row:has-text("good") .more');
  await other.page.waitForSelector('.thread .menu:popover-open');
  await other.page.keyboard.press('Escape');
  await until('the menu is closed', async () => await other.page.locator('.thread .menu').count() === 0);
  assert.equal(await other.page.locator('.thread').count(), 1);

  // A deleted reply is not counted, and replies can be edited and reacted to like any message.
  const last = other.page.locator('.thread .row', { hasText: 'good' });
  await last.hover();
  await last.locator('.more').click();
  await other.page.click('.thread .menu .danger');
  await other.page.click('.thread .menu .danger');
  await until('one reply is left', async () => (await replies(win)).join() === '1 reply last reply by bob');
});

test('on a phone a thread covers its room, and back leads there', async () => {
  const { ada } = on.people;
  await ada.enter('small');
  const { id } = await ada.say('small', 'root');
  await ada.call('POST', 'v1/rooms/small/messages', { message: 'answer', thread: id });
  const win = await newWindow(on.server, { viewport: { width: 390, height: 800 }, isMobile: true, hasTouch: true });
  await win.enter('login', 'bob');
  await win.page.goto(`${on.server.url}#/rooms/small`);
  await win.at('small');
  await win.page.tap('.replies');
  await until('the thread is shown', async () => (await thread(win)).join('|') === 'root|answer');
  assert.equal(await win.page.locator('.room > .chat .scroller').isVisible(), false);
  const { width } = await win.page.locator('.thread').boundingBox();
  assert.equal(width, 390);
  await win.page.tap('.stage .back');
  await until('the room is shown again', () => win.page.locator('.room > .chat .scroller').isVisible());
});

test('conversations have threads as well', async () => {
  const { ada } = on.people;
  const { id } = await ada.call('POST', 'v1/private/bob/messages', { message: 'between us' });
  const win = await newWindow();
  await win.enter('login', 'bob');
  await win.page.goto(`${on.server.url}#/private/ada`);
  await win.at('ada');
  await win.page.hover('.row');
  await win.page.click('.row .more');
  await win.page.click('.menu >> text=Reply in thread');
  await until('the thread is open', async () => (await thread(win)).join() === 'between us');
  await win.page.fill('.thread [name=message]', 'an answer');
  await win.page.press('.thread [name=message]', 'Enter');
  await until('the reply is sent', async () => {
    const { items } = await ada.call('GET', `v1/private/bob/messages?thread=${id}`);
    return items.map((m) => m.message).join() === 'between us,an answer';
  });
  await showing(win, 1);
});
