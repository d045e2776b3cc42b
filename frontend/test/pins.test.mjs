// Pins and notification levels.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from './harness.mjs';
import { showing, stage } from './stage.mjs';

const on = stage('ada', 'bob');
const { joined, newWindow } = on;

async function choose(win, text, item) {
  const row = win.page.locator('.row', { hasText: text });
  await row.hover();
  await row.locator('.more').click();
  await win.page.click(`.menu >> text="${item}"`);
}

test('an owner pins, everybody sees the pin, and it goes with its message', async () => {
  const { ada } = on.people;
  await ada.enter('board');
  for (const text of ['the plan', 'small talk', 'the rules']) await ada.say('board', text);
  const owner = await joined('login', 'ada', 'board', 'ws');
  const reader = await joined('login', 'bob', 'board', 'sse');
  await reader.page.locator('.row', { hasText: 'the plan' }).hover();
  await reader.page.locator('.row', { hasText: 'the plan' }).locator('.more').click();
  assert.equal(await reader.page.locator('.menu >> text="Pin"').count(), 0); // only for owners and moderators
  await reader.page.keyboard.press('Escape');
  for (const text of ['the plan', 'the rules']) await choose(owner, text, 'Pin');
  for (const win of [owner, reader]) await until('two messages are pinned', async () => await win.page.locator('.row .pin').count() === 2);
  await reader.page.click('.bar button:has-text("Pinned 2")');
  const pinned = (win) => win.page.locator('.pins li .text').allTextContents();
  await until('the latest pin is first', async () => (await pinned(reader)).join() === 'the rules,the plan');
  assert.equal(await reader.page.locator('.pins >> text="Unpin"').count(), 0);
  await reader.page.click('.pins li:has-text("the plan") .at');
  await until('the pinned message is highlighted', () => reader.page.isVisible('.row.marked:has-text("the plan")'));
  await choose(owner, 'the plan', 'Unpin');
  await until('one pin is left', async () => (await pinned(reader)).join() === 'the rules');
  await owner.page.locator('.row', { hasText: 'the rules' }).hover();
  await owner.page.locator('.row', { hasText: 'the rules' }).locator('.more').click();
  await owner.page.click('.menu .danger');
  await owner.page.click('.menu .danger');
  await until('no pin is left', async () => (await pinned(reader)).length === 0);
});

test('in a conversation both users pin', async () => {
  await on.people.ada.call('POST', 'v1/private/bob/messages', { message: 'the door code' });
  const win = await newWindow();
  await win.enter('login', 'bob');
  await win.page.goto(`${on.server.url}#/private/ada`);
  await win.at('ada');
  await choose(win, 'the door code', 'Pin');
  await until('the message is pinned', () => win.page.isVisible('.bar button:has-text("Pinned 1")'));
  assert.equal((await on.people.ada.call('GET', 'v1/private/bob/pins')).items.length, 1);
});

test('the notification level is chosen in the bar, and kept', async () => {
  await on.people.bob.enter('loud');
  const win = await joined('login', 'bob', 'loud', 'ws');
  const bell = win.page.locator('.bar .bell');
  assert.equal(await bell.getAttribute('aria-label'), 'Notifications: Mentions only');
  await bell.click();
  await win.page.check('.levels [value=none]');
  await until('the bell shows the new level', async () => await bell.getAttribute('aria-label') === 'Notifications: Nothing');
  await win.page.reload();
  await win.at('loud');
  await until('the level survives a reload', async () => await bell.getAttribute('aria-label') === 'Notifications: Nothing');
  await showing(win, 0);
});
