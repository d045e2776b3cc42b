// Moderation, and access by other products and devices: reports, mutes, slow mode, inlets, sessions.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from './harness.mjs';
import { showing, stage } from './stage.mjs';

const on = stage('mia', 'bob', 'cy', 'dan', 'eve');
const { joined, newWindow } = on;

/** Opens the menu of the message with a text, and clicks an item. */
async function choose(win, text, ...items) {
  const row = win.page.locator('.row', { hasText: text });
  await row.hover();
  await row.locator('.more').click();
  for (const item of items) await win.page.locator('.menu [role=menuitem]', { hasText: item }).click();
}

test('a message is reported, and a moderator goes there, dismisses it or deletes it', async () => {
  const { mia, bob } = on.people;
  await mia.call('POST', 'v1/rooms', { name: 'forum' });
  await bob.enter('forum');
  await bob.say('forum', 'buy my pills');
  await bob.say('forum', 'and my watches');
  const win = await joined('login', 'cy', 'forum');
  await showing(win, 2);
  for (const [text, reason] of [['pills', 'spam'], ['watches', '']]) {
    await choose(win, text, 'Report');
    if (reason) await win.page.fill('dialog [name=reason]', reason);
    await win.page.click('dialog .primary');
    await until('the report is confirmed', () => win.page.isVisible('dialog [role=status]'));
    await win.page.click('dialog button');
    await until('the dialog is closed', async () => (await win.page.locator('dialog[open]').count()) === 0);
  }
  const boss = await joined('login', 'mia', 'forum');
  const open = boss.page.locator('.bar .open-reports');
  await until('the room shows the number of reports', async () => await open.getAttribute('aria-label') === '2 open reports' && /2/.test(await open.innerText()));
  assert.equal(await win.page.locator('.open-reports').count(), 0, 'a member sees no report count');
  await open.click();
  const reports = boss.page.locator('.reports li');
  await until('both reports are listed', async () => (await reports.count()) === 2);
  assert.match(await reports.nth(1).innerText(), /bob[\s\S]*buy my pills[\s\S]*cy: spam/);
  await reports.nth(0).locator('.dismiss').click();
  await until('one report is left', async () => (await reports.count()) === 1);
  assert.equal((await win.texts()).length, 2, 'a dismissed report keeps its message');
  await reports.locator('.tools a').click();
  await boss.at('forum');
  await until('the reported message is highlighted', () => boss.page.isVisible('.row.marked:has-text("pills")'));
  await until('the room counts one report', async () => await open.getAttribute('aria-label') === '1 open report');
  await mia.call('POST', `v1/rooms/forum/messages/${(await mia.say('forum', 'my own')).id}/report`, {});
  await until('a new report is counted', async () => await open.getAttribute('aria-label') === '2 open reports');
  const { items: [{ id }] } = await mia.call('GET', 'v1/rooms/forum/reports?state=open');
  await mia.call('PATCH', `v1/rooms/forum/reports/${id}`, { state: 'dismissed' });
  await until('a closed report is not counted', async () => await open.getAttribute('aria-label') === '1 open report');
  await boss.page.goBack();
  await reports.locator('.danger').click();
  await reports.locator('.danger').click();
  await until('no report is left', () => boss.page.isVisible('.reports .none'));
  await until('the message is deleted', async () => !(await win.texts()).includes('buy my pills'));
});

test('a muted user sees until when instead of the composer, and gets the draft back', async () => {
  const { mia } = on.people;
  await mia.call('POST', 'v1/rooms', { name: 'calm' });
  const win = await joined('login', 'dan', 'calm');
  await win.say('I shout');
  await showing(win, 1);
  await win.page.fill('[name=message]', 'half a sent');
  const boss = await joined('login', 'mia', 'calm');
  await showing(boss, 1);
  await choose(boss, 'I shout', 'Mute', '10 minutes');
  await until('the notice of the mute is shown', async () => /You are muted in this room until (.* )?\d\d:\d\d\./.test(await win.page.locator('.closed').innerText())); // with the day if it is the next
  assert.equal(await win.page.locator('[name=message]').count(), 0);
  await win.page.reload();
  await until('the notice is shown after a reload', () => win.page.isVisible('.closed'));
  await boss.page.goto(`${on.server.url}#/rooms/calm/settings`);
  await until('the moderators see the mute', async () => /dan[\s\S]*until/.test(await boss.page.locator('.mutes').innerText()));
  await boss.page.goto(`${on.server.url}#/rooms/calm`);
  await showing(boss, 1);
  await choose(boss, 'I shout', 'Mute', 'Unmute');
  await until('the composer is back', () => win.page.isVisible('[name=message]'));
  assert.equal(await win.page.inputValue('[name=message]'), 'half a sent');
});

test('slow mode counts down and keeps the text, for all but moderators', async () => {
  const { mia } = on.people;
  await mia.call('POST', 'v1/rooms', { name: 'slow' });
  const boss = await newWindow();
  await boss.enter('login', 'mia');
  await boss.page.goto(`${on.server.url}#/rooms/slow/settings`);
  await boss.page.selectOption('[name=slow]', '5');
  await until('slow mode is on', async () => (await mia.call('GET', 'v1/rooms/slow')).slow_mode === 5);
  const win = await joined('login', 'eve', 'slow');
  await win.say('one');
  await showing(win, 1);
  await until('the countdown is shown', async () => /you can post again in [1-5] s/.test(await win.page.locator('.composer .left').innerText()));
  await win.page.fill('[name=message]', 'two');
  await win.page.press('[name=message]', 'Enter');
  assert.equal(await win.page.inputValue('[name=message]'), 'two');
  assert.ok(await win.page.isDisabled('.composer .send'));
  await until('the countdown has ended', () => win.page.isEnabled('.composer .send'));
  await win.page.press('[name=message]', 'Enter');
  await showing(win, 2);
  await boss.page.goto(`${on.server.url}#/rooms/slow`);
  await boss.live();
  for (const text of ['first', 'second']) await boss.say(text);
  await showing(boss, 4);
});

test('owners choose how long messages are kept, and others see it in plain words', async () => {
  const { mia } = on.people;
  await mia.call('POST', 'v1/rooms', { name: 'brief' });
  const boss = await newWindow();
  await boss.enter('login', 'mia');
  await boss.page.goto(`${on.server.url}#/rooms/brief/settings`);
  const choice = boss.page.locator('[name=retention]');
  await until('no retention is chosen', async () => await choice.inputValue() === '0');
  const kept = async () => (await mia.call('GET', 'v1/rooms/brief')).retention;
  await choice.selectOption('2592000');
  assert.equal(await kept(), undefined, 'nothing changes before it is saved');
  await boss.page.click('form .primary');
  await until('the retention is saved', async () => await kept() === 2_592_000);
  for (const [locale, words] of [['en-GB', 'Messages are deleted after 30 days.'], ['zh-CN', '消息会在 30 天后自动删除'], ['ru-RU', 'Сообщения удаляются через 30 дней.']]) {
    const win = await newWindow(on.server, { locale });
    await win.enter('login', 'cy');
    await win.page.goto(`${on.server.url}#/rooms/brief/settings`);
    await until(`a member sees the retention in ${locale}`, async () => (await win.page.textContent('.retention')).startsWith(words));
    assert.equal(await win.page.locator('[name=retention]').count(), 0);
    if (locale !== 'ru-RU') continue;
    await win.page.goto(`${on.server.url}#/rooms/brief`);
    await win.live();
    await win.page.goto(`${on.server.url}#/rooms/brief/settings`);
    await mia.call('PATCH', 'v1/rooms/brief', { retention: 100_000 }); // as another client may choose
    await until('the text changes with the room', async () => /через 28 часов/.test(await win.page.textContent('.retention')));
    await mia.call('PATCH', 'v1/rooms/brief', { retention: 0 });
    await until('the text is gone', async () => (await win.page.locator('.retention').count()) === 0);
  }
  await boss.page.reload();
  await until("the site's retention applies", async () => await choice.inputValue() === '0');
});

test("an inlet's URL is shown once; its messages are marked and belong to no user", async () => {
  const { mia } = on.people;
  await mia.call('POST', 'v1/rooms', { name: 'builds' });
  const win = await newWindow();
  await win.enter('login', 'mia');
  await win.page.goto(`${on.server.url}#/rooms/builds/settings`);
  await win.page.fill('[name=inlet]', 'Jenkins');
  await win.page.click('.inlets form button');
  const url = await until('the URL is shown', () => win.page.textContent('.inlets .once code'));
  assert.ok((await win.page.textContent('.inlets pre')).endsWith(url));
  const answer = await fetch(url, { method: 'POST', body: 'deploy done' });
  assert.equal(answer.status, 200);
  await win.page.goto(`${on.server.url}#/rooms/builds`);
  await showing(win, 1);
  const who = win.page.locator('.row .who');
  assert.equal((await who.innerText()).replace(/\s+/g, ' ').trim(), 'Jenkins bot');
  assert.equal(await who.locator('button').count(), 0, 'an inlet has no profile');
  await win.page.goto(`${on.server.url}#/rooms/builds/settings`);
  await until('the URL is not shown again', async () => (await win.page.locator('.inlets tr').count()) === 1 && (await win.page.locator('.inlets .once').count()) === 0);
  await win.page.click('.inlets td button');
  await win.page.click('.inlets td button');
  await until('the inlet is deleted', async () => (await win.page.locator('.inlets tr').count()) === 0);
  assert.equal((await fetch(url, { method: 'POST', body: 'late' })).status, 404);
});

test('sessions are listed, this one marked, and the others ended', async () => {
  await on.server.person('fay');
  const win = await newWindow();
  await win.enter('login', 'fay');
  const others = [await newWindow(), await newWindow()];
  for (const other of others) await other.enter('login', 'fay');
  await win.page.goto(`${on.server.url}#/profile`);
  const rows = win.page.locator('.sessions tr');
  await until('all sessions are listed', async () => (await rows.count()) === 4); // and the one that created the account
  assert.match(await rows.nth(0).innerText(), /Chrom[\s\S]*127\.0\.0\.1[\s\S]*This session/);
  await rows.nth(1).locator('button').click(); // the most recently active one
  await until('the ended session is logged out', () => others[1].page.isVisible('.door'));
  assert.ok(await others[0].page.isVisible('nav.side'));
  await win.page.click('.sessions .all button');
  await win.page.click('.sessions .all button');
  await until('all other sessions are logged out', () => others[0].page.isVisible('.door'));
  await until('only this session is left', async () => (await rows.count()) === 1);
});
