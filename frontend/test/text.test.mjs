// Text in the app: the formatting that messages may have, and emoji.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from './harness.mjs';
import { showing, stage } from './stage.mjs';

const on = stage('ada', 'bob');
const { joined, newWindow } = on;

test('some Markdown is rendered, and the text stays as typed', async () => {
  const { ada } = on.people;
  await ada.enter('prose');
  const typed = [
    '**bold** and *italic*, `code` and [a link](https://a.example/?q=1), https://b.example/x_(y).',
    'first\nsecond\n\n- one\n- two\n  - three\n\n7. seven\n8. eight',
    '> said before\n> and after\n\n```js\nif (a < b) {\n  **c**\n}\n```',
  ].join('\n\n');
  await ada.say('prose', typed);
  const win = await joined('login', 'bob', 'prose', 'ws');
  const text = win.page.locator('.text');
  await text.locator('strong').waitFor();
  const all = (selector) => text.locator(selector).allTextContents();
  assert.deepEqual(await all('strong'), ['bold']);
  assert.deepEqual(await all('em'), ['italic']);
  assert.deepEqual(await all('p > code'), ['code']);
  assert.deepEqual(await all('p:nth-child(2)'), ['first\nsecond']);
  assert.deepEqual(await all('ul li li'), ['three']);
  assert.deepEqual(await all('ol[start="7"] > li'), ['seven', 'eight']);
  assert.deepEqual(await all('blockquote p'), ['said before\nand after']);
  assert.deepEqual(await all('pre code'), ['if (a < b) {\n  **c**\n}']);
  assert.deepEqual(
    await text.locator('a').evaluateAll((links) => links.map((a) => [a.href, a.target, a.rel])),
    ['https://a.example/?q=1', 'https://b.example/x_(y)'].map((href) => [href, '_blank', 'noopener noreferrer nofollow']),
  );
  const { items } = await ada.call('GET', 'v1/rooms/prose/messages');
  assert.equal(items[0].message, typed);
  const other = await joined('login', 'ada', 'prose', 'sse');
  await other.page.press('[name=message]', 'ArrowUp');
  assert.equal(await other.page.inputValue('[name=message]'), typed);
});

test('what only resembles Markdown is shown as typed', async () => {
  const { ada } = on.people;
  await ada.enter('plain');
  const typed = [
    '2 * 3 * 4 = 24', 'snake_case_name', '>_< hm', '2024.', '# no heading', 'a\n===', '---', '    indented',
    '&lt;b&gt; &amp;', '<b>no</b> <!-- x -->', '[a](javascript:alert(1))', '[b](/v1/me) [c](data:text/html,x)', '[d]: https://x.example\n[d]',
    'one \\\ntwo', '* ', `${'> '.repeat(1000)}deep`, '**unclosed',
  ];
  for (const text of typed) await ada.say('plain', text);
  await ada.say('plain', '**the last one**');
  const win = await joined('login', 'bob', 'plain', 'sse');
  await win.page.locator('.text strong').waitFor();
  const all = await win.all();
  assert.deepEqual(all.map((m) => m.text), [...typed, 'the last one']);
  assert.equal(await win.page.locator('.text :is(img, b, h1, hr, pre, blockquote, ol, a[href^="javascript"])').count(), 0);
});

test('the Markdown parser is loaded when a text needs it', async () => {
  const { ada } = on.people;
  await ada.enter('lazy');
  await ada.say('lazy', 'no formatting in this');
  const win = await newWindow();
  const asked = [];
  win.page.on('request', (request) => asked.push(request.url()));
  await win.enter('login', 'bob');
  await win.go('lazy');
  const fetched = () => asked.filter((url) => /MarkdownText|EmojiPicker/.test(url)).length;
  assert.equal(fetched(), 0);
  await ada.say('lazy', 'and **some** in this');
  await win.page.locator('.text strong').waitFor();
  assert.ok(fetched() > 0);
});

for (const [locale, query, name] of [['en-GB', 'bicyc', 'bicycle'], ['zh-CN', '自行车', '自行车'], ['ru-RU', 'велос', 'велосипед']]) {
  test(`emoji are found by name and chosen with the keyboard: ${locale}`, async () => {
    const win = await newWindow(on.server, { locale });
    const { page } = win;
    await win.enter('login', 'bob');
    await win.go(`emoji-${locale.slice(0, 2)}`);
    await page.fill('[name=message]', 'by !');
    await page.press('[name=message]', 'ArrowLeft');
    await page.keyboard.press('Tab'); // files
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.locator('.picker [data-emoji]').first().waitFor();
    await until('the search field has the focus', () => page.evaluate(() => document.activeElement.matches('.picker input')));
    await page.keyboard.type(query);
    await page.keyboard.press('ArrowDown');
    await until('an emoji has the focus', () => page.evaluate(() => document.activeElement.matches('.picker [data-emoji]')));
    const labels = await page.$$eval('.picker [data-emoji]', (all) => all.map((b) => b.ariaLabel));
    assert.ok(labels.includes(name), labels.join());
    for (let i = labels.indexOf(name); i > 0; i--) await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Enter');
    await until('the picker is closed', async () => await page.locator('.picker').count() === 0);
    assert.equal(await page.inputValue('[name=message]'), 'by 🚲!');
    await until('the composer has the focus', () => page.evaluate(() => document.activeElement.name === 'message'));
    await page.keyboard.press('Enter');
    assert.equal((await showing(win, 1))[0].text, 'by 🚲!');
    assert.equal(await page.locator('.picker').count(), 0);
  });
}

test('any emoji can be a reaction, and Escape closes the picker and restores the focus', async () => {
  const win = await joined('login', 'bob', 'react', 'ws');
  const { page } = win;
  await win.say('hello');
  await showing(win, 1);
  await page.hover('.row');
  await page.click('.row .more');
  await page.click('.menu [aria-label="More emoji"]');
  await page.locator('.picker [data-emoji]').first().waitFor();
  await page.keyboard.press('Escape');
  await until('the button has the focus', () => page.evaluate(() => document.activeElement.matches('.row .more')));
  await page.keyboard.press('Enter');
  await page.click('.menu [aria-label="More emoji"]');
  await page.locator('.picker [data-emoji]').first().waitFor();
  await page.fill('.picker input', 'hot beverage');
  await page.press('.picker input', 'Enter');
  await until('the reaction is shown', async () => (await page.textContent('.reactions')).replace(/\s+/g, ' ').trim() === '☕ 1');
});

test("other apps' data and custom events are ignored", async () => {
  const { ada } = on.people;
  await ada.enter('apps');
  const win = await joined('login', 'bob', 'apps', 'ws');
  await ada.call('POST', 'v1/rooms/apps/events', { name: 'note.added', data: { text: '<b>x</b>' } });
  await ada.call('POST', 'v1/rooms/apps/events', { name: 'cursor.moved', data: { x: 1 }, ephemeral: true });
  await ada.call('POST', 'v1/rooms/apps/messages', { data: { secret: 'of an app' } });
  await ada.call('POST', 'v1/rooms/apps/messages', { message: 'with a text', data: { secret: 'of an app' } });
  const rows = async () => (await win.page.locator('.row .body').allTextContents()).map((text) => text.trim());
  await until('both messages are shown', async () => (await rows()).join() === 'A message for another app,with a text');
  assert.equal((await win.page.textContent('body')).includes('of an app'), false);
  await win.page.reload();
  await win.at('apps');
  assert.deepEqual(await rows(), ['A message for another app', 'with a text']);
});
