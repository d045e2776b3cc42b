// Files in messages: chosen, pasted and dropped, uploaded, and shown.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { until } from './harness.mjs';
import { png } from './pictures.mjs';
import { showing, stage } from './stage.mjs';

const on = stage('ada', 'bob');
const { joined } = on;

/** A second of silence. */
function wav() {
  const b = Buffer.alloc(44 + 8000, 0x80);
  b.write('RIFF', 0); b.writeUInt32LE(36 + 8000, 4); b.write('WAVEfmt ', 8); b.writeUInt32LE(16, 16);
  b.writeUInt16LE(1, 20); b.writeUInt16LE(1, 22); b.writeUInt32LE(8000, 24); b.writeUInt32LE(8000, 28);
  b.writeUInt16LE(1, 32); b.writeUInt16LE(8, 34); b.write('data', 36); b.writeUInt32LE(8000, 40);
  return b;
}
const red = { name: 'red.png', mimeType: 'image/png', buffer: png(600, 400, [200, 40, 40]) };
const blue = { name: 'blue.png', mimeType: 'image/png', buffer: png(80, 300, [40, 40, 200]) };
const notes = { name: 'notes "1".txt', mimeType: 'text/plain', buffer: Buffer.from('take the second train') };
const attach = (win, ...files) => win.page.setInputFiles('.composer input[type=file]', files);
/** Drops or pastes files in the composer. */
const give = (win, how, selector, files) => win.page.evaluate(([how, selector, files]) => {
  const data = new DataTransfer();
  for (const { name, type, text } of files) data.items.add(new File([text], name, { type }));
  const el = document.querySelector(selector);
  if (how === 'paste') return void el.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
  for (const type of ['dragenter', 'dragover', 'drop']) el.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
}, [how, selector, files]);

test('files are chosen, pasted and dropped, sent with a text, and received', async () => {
  const win = await joined('login', 'bob', 'share', 'ws');
  const reader = await joined('login', 'ada', 'share', 'sse');
  await attach(win, red, { name: 'tone.wav', mimeType: 'audio/wav', buffer: wav() });
  await give(win, 'paste', '[name=message]', [{ name: 'pasted.txt', type: 'text/plain', text: 'pasted' }]);
  await give(win, 'drop', '.chat .scroller', [{ name: 'dropped.txt', type: 'text/plain', text: 'dropped' }]);
  const names = () => win.page.$$eval('.attachments bdi, .attachments .cut', (all) => all.map((el) => el.textContent));
  await until('four files are attached', async () => (await names()).join() === 'red.png,tone.wav,pasted.txt,dropped.txt');
  assert.equal(await win.page.locator('.drop').count(), 0);
  await win.page.click('[aria-label="Remove dropped.txt"]');
  await win.say('look');
  for (const each of [win, reader]) {
    await until('the message shows its files', async () => (await showing(each, 1))[0].text === 'look' && await each.page.locator('.files li').count() === 3);
    const image = each.page.locator('.files img');
    await until('the picture is loaded', () => image.evaluate((el) => el.complete && el.naturalWidth > 0));
    assert.equal(await image.getAttribute('alt'), 'red.png');
    await each.page.waitForSelector('.files audio');
  }
  await until('the sound can be played', () => reader.page.$eval('audio', async (el) => {
    el.muted = true;
    await el.play();
    return el.duration > 0.9;
  }));
  // After an hour its link has ended.
  await reader.page.route('**/link', async (route) => {
    const response = await route.fetch();
    const { url, ...rest } = await response.json();
    return route.fulfill({ response, json: { ...rest, url: `${url}&again=1` } });
  });
  await reader.page.$eval('audio', (el) => {
    el.currentTime = 0.5;
    window.old = el.src;
    const now = Date.now;
    Date.now = () => now() + 3_600_000;
    el.dispatchEvent(new Event('error'));
  });
  await until('the sound has a new link, at the same place', () => reader.page.$eval('audio', (el) => el.src !== window.old && el.currentTime >= 0.5));
  const [download] = await Promise.all([reader.page.waitForEvent('download'), reader.page.click('[aria-label="Download pasted.txt"]')]);
  assert.equal(download.suggestedFilename(), 'pasted.txt');
  assert.equal(await readFile(await download.path(), 'utf8'), 'pasted');
});

test('a file alone is a message, and a message has at most ten', async () => {
  const win = await joined('login', 'bob', 'alone', 'sse');
  await attach(win, ...Array.from({ length: 11 }, (_, i) => ({ ...notes, name: `${i}.txt` })));
  await until('the limit of files is shown', async () => (await win.page.textContent('.composer .left')).includes('at most 10 files'));
  await win.page.press('[name=message]', 'Enter');
  assert.equal(await win.page.locator('.row').count(), 0);
  for (let i = 0; i < 10; i++) await win.page.click(`[aria-label="Remove ${i}.txt"]`);
  await win.page.press('[name=message]', 'Enter');
  await until('the message is sent', async () => await win.page.locator('.row.sent .files li').count() === 1);
});

test('files that are attached wait while a message is edited', async () => {
  const win = await joined('login', 'bob', 'edited', 'sse');
  await win.say('helo');
  await showing(win, 1);
  await attach(win, ...Array.from({ length: 11 }, (_, i) => ({ ...notes, name: `${i}.txt` })));
  const attached = () => win.page.locator('.attachments li').count();
  await until('the files are attached', async () => await attached() === 11);
  await win.page.press('[name=message]', 'ArrowUp');
  await until('the files are hidden', async () => await attached() === 0);
  await win.page.fill('[name=message]', 'hello');
  await win.page.press('[name=message]', 'Enter');
  await until('the message is edited', async () => (await win.texts()).join() === 'hello');
  await until('the files are back', async () => await attached() === 11);
});

test('each file shows its progress, can be cancelled, and is retried when it fails', async () => {
  const win = await joined('login', 'bob', 'slow', 'ws');
  let open = () => {};
  const gate = new Promise((done) => { open = done; });
  await win.page.route('**/slow/files?*', async (route) => {
    if (route.request().url().includes('refused')) return route.fulfill({ status: 413, contentType: 'application/problem+json', body: JSON.stringify({ status: 413, code: 'file_too_large', detail: 'too large.' }) });
    await gate;
    return route.continue();
  });
  await attach(win, notes, { ...notes, name: 'never mind.txt' });
  await win.say('two on their way');
  await until('both uploads show their progress', async () => await win.page.locator('.uploads progress').count() === 2);
  await win.page.click('.uploads [aria-label="Cancel never mind.txt"]');
  open();
  await until('the first message is sent', async () => await win.page.locator('.row.sent .files li').count() === 1);
  assert.equal((await win.page.textContent('.files bdi')), notes.name);

  await attach(win, { ...notes, name: 'refused.txt' });
  await win.say('too large');
  await until('the error is shown', async () => (await win.page.textContent('.row.failed .uploads .error')).includes('too large for this server'));
  await win.page.unroute('**/slow/files?*');
  await win.page.click('.row.failed >> text=Try again');
  await until('both messages are sent', async () => await win.page.locator('.row.sent .files li').count() === 2);
});

test('the space of a picture is reserved before it loads, so that nothing moves', async () => {
  const { bob } = on.people;
  await bob.enter('still');
  const ids = [];
  for (const file of [red, blue]) {
    const res = await fetch(`${on.server.url}v1/rooms/still/files?name=${file.name}`, { method: 'POST', headers: { Authorization: `Bearer ${bob.token}` }, body: file.buffer });
    ids.push((await res.json()).id);
  }
  for (const id of ids) await bob.call('POST', 'v1/rooms/still/messages', { message: 'a picture', files: [id] });
  await bob.say('still', 'the last one');
  const win = await joined('login', 'ada', 'elsewhere', 'ws');
  let let_go = () => {};
  const gate = new Promise((done) => { let_go = done; });
  let lost = 0;
  await win.page.route('**/v1/files/**', async (route) => {
    await gate;
    return lost++ ? route.continue() : route.abort(); // a link is asked for again
  });
  await win.go('still');
  await until('both placeholders are shown', async () => await win.page.locator('.files .picture').count() === 2);
  const places = () => win.page.$$eval('.row, .files .picture', (all) => all.map((el) => { const { top, width, height } = el.getBoundingClientRect(); return [el.tagName, Math.round(top), Math.round(width), Math.round(height)]; }));
  const before = await places();
  assert.deepEqual(before.filter(([tag]) => tag === 'BUTTON').map(([, , w, h]) => [w, h]), [[360, 240], [75, 280]]);
  let_go();
  await until('both pictures are loaded', () => win.page.$$eval('.files img', (all) => all.length === 2 && all.every((el) => el.complete && el.naturalWidth)));
  assert.deepEqual(await places(), before);
  // The viewer, with the keyboard.
  await win.page.locator('.files .picture').first().focus();
  await win.page.keyboard.press('Enter');
  const seen = () => win.page.locator('dialog[open] img').getAttribute('alt');
  await until('the first picture is shown', async () => await seen() === 'red.png');
  await win.page.keyboard.press('ArrowRight');
  await until('the second picture is shown', async () => await seen() === 'blue.png');
  await win.page.keyboard.press('ArrowRight');
  assert.equal(await seen(), 'blue.png');
  await win.page.keyboard.press('ArrowLeft');
  await until('the first picture is shown again', async () => await seen() === 'red.png');
  await win.page.keyboard.press('Escape');
  await until('the viewer is closed', async () => await win.page.locator('dialog[open]').count() === 0);
  await until('the picture has the focus again', () => win.page.evaluate(() => document.activeElement.matches('.picture')));
});
