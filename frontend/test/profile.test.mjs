// Profiles: names, pictures, and when users were last seen.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from './harness.mjs';
import { showing, stage } from './stage.mjs';

const on = stage('ada', 'bob', 'cy');
const { joined, newWindow } = on;

test('a display name replaces the username everywhere, at once', async () => {
  const reader = await joined('login', 'ada', 'names', 'ws');
  const win = await joined('login', 'bob', 'names', 'sse');
  await win.say('hello');
  await showing(reader, 1);
  assert.equal(await reader.page.textContent('.row .name'), 'bob');
  await win.page.click('.account a');
  await win.page.fill('[name=display_name]', 'Bob the <b>Builder</b>');
  await win.page.click('.person .primary');
  await until('the profile is saved', () => win.page.isVisible('.person .done'));
  await until('the message shows the new name', async () => (await reader.page.textContent('.row .name')).trim() === 'Bob the <b>Builder</b>');
  await until('the user list shows the new name', async () => (await reader.users()).includes('Bob the <b>Builder</b>'));
  await reader.page.click('.row .name');
  const card = reader.page.locator('.card');
  await until('the card shows the profile', async () => /Bob the <b>Builder<\/b>\s*@bob\s*online/.test(await card.innerText()));
  await card.locator('a').click();
  await until('the conversation is open', async () => await reader.page.textContent('.stage h1') === 'Bob the <b>Builder</b>');

  await win.page.fill('[name=display_name]', '\u200b');
  await win.page.click('.person .primary');
  await until('an invisible name is refused', async () => (await win.page.textContent('[name=display_name] ~ .error')).includes('1 to 64 visible characters'));
  await win.page.fill('[name=display_name]', '');
  await win.page.click('.person .primary');
  await until('the username is shown again', async () => await reader.page.textContent('.stage h1') === 'bob');
});

test('an invisible user looks offline, and one who has left was last seen', async () => {
  const win = await joined('login', 'cy', 'hide', 'ws');
  const reader = await newWindow();
  await reader.enter('login', 'ada');
  await reader.page.goto(`${on.server.url}#/private/cy`);
  const note = () => reader.page.textContent('.bar .title p');
  await until('cy is online', async () => await note() === 'online');
  await win.page.click('.account a');
  await win.page.check('[name=invisible]');
  await until('cy looks offline', async () => /^(offline|last seen)/.test(await note()));
  await win.page.uncheck('[name=invisible]');
  await until('cy is online again', async () => await note() === 'online');
});

test('a box whose change fails shows what is so, and nothing is saved before the profile is known', async () => {
  const win = await newWindow();
  await win.enter('login', 'bob');
  await win.page.route('**/v1/me', (route) => route.abort());
  await win.page.click('.account a');
  await win.page.waitForSelector('.person .error');
  assert.equal(await win.page.isDisabled('.person .primary'), true);
  await win.page.unroute('**/v1/me');
  const held = [];
  let hold = true;
  await win.page.route('**/v1/me', (route) => hold ? held.push(route) : route.continue());
  await win.page.reload();
  await until('the profile is requested', () => held.length);
  assert.equal(await win.page.isEditable('[name=display_name]'), false, 'a name typed now would be replaced by the profile');
  hold = false;
  for (const route of held) await route.continue();
  await until('it can be saved', () => win.page.isEnabled('.person .primary'));
  assert.equal(await win.page.isEditable('[name=display_name]'), true);
  await win.page.unroute('**/v1/me');
  await win.page.route('**/v1/me', (route) => route.abort());
  for (const [name, is] of [['invisible', false], ['receipts', true]]) {
    await win.page.click(`[name=${name}]`);
    await until('the error is shown', () => win.page.isVisible('.person .error'));
    await until('the box is as it was', async () => await win.page.isChecked(`[name=${name}]`) === is);
    assert.equal(await win.page.evaluate(() => document.activeElement.name), name);
  }
});

test('initials have a fixed colour, with legible white text', async () => {
  for (const colorScheme of ['light', 'dark']) {
    const win = await newWindow(on.server, { colorScheme });
    await win.enter('login', 'ada');
    await win.page.goto(`${on.server.url}#/people`);
    await win.page.locator('.people .avatar').nth(2).waitFor();
    const colours = await win.page.evaluate(() => {
      const avatar = document.querySelector('.people .avatar');
      return Array.from({ length: 8 }, (_, i) => {
        avatar.className = avatar.className.replace(/\bc\d\b/, `c${i}`);
        const { backgroundColor, color } = getComputedStyle(avatar);
        return [backgroundColor, color];
      });
    });
    const light = (rgb) => {
      const [r, g, b] = rgb.match(/\d+/g).map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    assert.equal(new Set(colours.map(([ground]) => ground)).size, 8);
    for (const [ground, ink] of colours) {
      const [hi, lo] = [light(ground), light(ink)].sort((a, b) => b - a);
      assert.ok((hi + 0.05) / (lo + 0.05) >= 4.5, `${ink} on ${ground}`);
    }
  }
});

test('a picture replaces the initial, and is removed again', async () => {
  const reader = await joined('login', 'ada', 'faces', 'ws');
  const win = await joined('login', 'bob', 'faces', 'sse');
  await win.say('hello');
  await showing(reader, 1);
  assert.equal(await reader.page.locator('.row .avatar img').count(), 0);
  await win.page.click('.account a');
  const idle = () => until('nothing is loaded or saved', () => win.page.isEnabled('.person .primary'));
  await idle();
  const picture = await win.page.screenshot({ clip: { x: 0, y: 0, width: 64, height: 64 } });
  await win.page.setInputFiles('.person input[type=file]', { name: 'me.png', mimeType: 'image/png', buffer: picture });
  const there = (each, where) => until(`${where} shows the picture`, () => each.page.locator(`${where} .avatar img`).first().evaluate((el) => el.complete && el.naturalWidth > 0));
  await there(win, '.person');
  await there(reader, '.row');
  await there(reader, '.here');
  await win.page.click('.person .picture .plain');
  await until('the picture is removed', async () => await reader.page.locator('.row .avatar img').count() === 0);
  await idle();
  await win.page.setInputFiles('.person input[type=file]', { name: 'me.png', mimeType: 'image/png', buffer: Buffer.from('no picture') });
  await until('a file that is not a picture is refused', () => win.page.isVisible('.person .error'));
});
