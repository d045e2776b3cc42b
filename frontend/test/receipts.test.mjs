// Read receipts, for users who send them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from './harness.mjs';
import { showing, stage } from './stage.mjs';

const on = stage('ada', 'bob', 'cy');
const { joined, newWindow } = on;
const mark = async (win) => (await win.page.locator('.delivered').allTextContents()).join();

test('a conversation shows what has been seen, unless either user has turned that off', async () => {
  const win = await newWindow();
  await win.enter('login', 'bob');
  await win.page.goto(`${on.server.url}#/private/ada`);
  await win.at('ada');
  await win.say('are you there?');
  await until('the message is delivered', async () => await mark(win) === 'Delivered');
  const other = await newWindow();
  await other.enter('login', 'ada');
  await other.page.goto(`${on.server.url}#/private/bob`);
  await other.at('bob');
  await until('the message is seen', async () => await mark(win) === 'Seen');
  await win.page.reload();
  await win.at('ada');
  await until('the message is still marked as seen', async () => await mark(win) === 'Seen');
  await other.page.click('.account a');
  await other.page.uncheck('[name=receipts]');
  await until('the setting is saved', () => other.page.isVisible('.person .done'));
  await other.page.goto(`${on.server.url}#/private/bob`);
  await win.say('and now?');
  await showing(other, 2);
  await until('the other user has read the message', async () => await other.unread('bob') === 0);
  await win.page.reload();
  await win.at('ada');
  await until('the message shows only that it was delivered', async () => await mark(win) === 'Delivered');
});

test('a private room shows its members who has seen the last message, if its owner wants that', async () => {
  const { bob } = on.people;
  const owner = await newWindow();
  await owner.enter('login', 'bob');
  await owner.page.click('nav .new');
  await owner.page.fill('.stage [name=name]', 'crew');
  assert.equal(await owner.page.locator('[name=receipts]').count(), 0); // only for private rooms
  await owner.page.check('[value=private]');
  await owner.page.check('[name=receipts]');
  await owner.page.click('.stage form .primary');
  await owner.at('crew');
  await bob.call('PUT', 'v1/rooms/crew/members/cy', { role: 'member' });
  await owner.say('all aboard');
  await showing(owner, 1);
  const member = await joined('login', 'cy', 'crew', 'sse');
  await until('the owner sees who read the message', async () => await mark(owner) === 'Seen by cy');
  await member.say('aye');
  await until('cy sees who read the message', async () => await mark(member) === 'Seen by bob');
  await owner.page.click('.stage .link:has-text("Members")');
  await until('the setting is on', () => owner.page.isChecked('[name=receipts]'));
});
