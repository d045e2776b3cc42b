// User text in every place of the app that shows it, in each language: it stays text. (stage.mjs fails a test in whose
// windows something was thrown or the content security policy was broken.)
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PASSWORD, Server, until } from './harness.mjs';
import { TIMEOUT, stage } from './stage.mjs';

const on = stage();

const markup = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>';
const texts = [
  markup,
  'javascript:window.pwned=1 JaVaScRiPt:window.pwned=1 data:text/html,<script>window.pwned=1</script>',
  'http://example.com/"onmouseover="window.pwned=1 http://example.com/<svg/onload=window.pwned=1>',
  "{{constructor.constructor('window.pwned=1')()}} ${window.pwned=1} ' \" ` \\ </textarea></title>",
  'a\u202egnp.exe \u2066\u2067 left open',
];
const title = `"><svg onload=window.pwned=1> ${markup} {{7*7}}`.slice(0, 100);

let server;
let ada;
before(async () => {
  server = await Server.start('--admin', `chief:${PASSWORD}`);
  ada = await server.person('ada');
  const bob = await server.person('bob');
  const chief = await server.person('chief', 'login');
  await ada.call('POST', 'v1/rooms', { name: 'evil', title });
  for (const message of texts) {
    const { id } = await bob.say('evil', message);
    await ada.call('POST', 'v1/rooms/evil/messages', { message, reply_to: id });
    await bob.call('POST', 'v1/private/ada/messages', { message });
    await bob.call('POST', 'v1/private/chief/messages', { message });
  }
  for (const person of [ada, chief]) await person.call('POST', 'v1/tokens', { name: markup });
  await chief.enter('evil');
}, TIMEOUT);
after(() => server?.stop(), TIMEOUT);

/** Nothing of the texts has become more than text. */
async function unharmed(page, where) {
  const found = await page.evaluate(() => ({
    ran: window.pwned,
    elements: document.querySelectorAll('img[src="x"], svg[onload], [onerror], [onmouseover], #app script').length,
    links: [...document.querySelectorAll('a[href]')].map((a) => a.protocol).filter((p) => !['http:', 'https:'].includes(p)),
    evaluated: document.body.innerText.includes('> 49'),
  }));
  assert.deepEqual(found, { ran: undefined, elements: 0, links: [], evaluated: false }, where);
}

const shows = (page, where, text) => until(`${where} shows it`, async () => {
  const inputs = await page.evaluate(() => [...document.querySelectorAll('input, textarea')].map((el) => el.value).join('\n'));
  return `${await page.evaluate(() => document.body.textContent)}\n${inputs}`.includes(text);
});

for (const locale of ['en-GB', 'zh-CN', 'ru-RU']) {
  test(`what people write does no harm where it is shown: ${locale}`, TIMEOUT, async () => {
    const win = await on.newWindow(server, { locale });
    const { page } = win;
    page.on('dialog', (dialog) => { win.faults.push(dialog.message()); dialog.dismiss(); });
    await win.enter('login', 'chief');
    for (const [at, text] of [
      ['#/rooms/evil', texts[3]],
      ['#/rooms/evil', texts[0]],
      ['#/rooms/evil', title],
      ['#/rooms/evil/here', title],
      ['#/rooms/evil/settings', title],
      ['#/private/bob', texts[1]],
      ['#/', 'evil'],
      ['#/people', 'ada'],
      ['#/profile', markup],
      ['#/admin/rooms', 'evil'],
      ['#/admin/people', 'ada'],
      ['#/admin/figures', 'chief'],
      [`#/rooms/${encodeURIComponent(markup)}`, ''],
      [`#/private/${encodeURIComponent(markup)}`, ''],
      [`#/${encodeURIComponent(markup)}?${encodeURIComponent(markup)}`, ''],
    ]) {
      await page.goto(server.url + at);
      await page.waitForSelector('nav.side');
      await shows(page, at, text);
      await unharmed(page, at);
    }
    // Live, in the form's own words, and in a message that is edited.
    await win.page.goto(`${server.url}#/rooms/evil`);
    await win.at('evil').catch(() => win.live()); // its heading may be the title
    await win.say(texts[0]);
    await ada.say('evil', `live ${texts[2]}`);
    await shows(page, 'the room', `live ${texts[2]}`);
    await unharmed(page, 'live');
  });
}

test('the description of the API shows nothing of its own address', TIMEOUT, async () => {
  const win = await on.newWindow(server);
  await win.page.goto(`${server.url}docs?x=${encodeURIComponent(markup)}#${encodeURIComponent(markup)}`);
  await until('it is there', () => win.page.evaluate(() => document.body.innerText.includes('/v1/rooms')));
  await unharmed(win.page, '/docs');
});
