// User text wherever the app shows it, in each language: it stays text. (stage.mjs fails a test if something was thrown
// in its windows, or the content security policy was violated.)
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PASSWORD, Server, until } from './harness.mjs';
import { stage } from './stage.mjs';

const on = stage();

const markup = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>';
const texts = [
  markup,
  'javascript:window.pwned=1 JaVaScRiPt:window.pwned=1 data:text/html,<script>window.pwned=1</script>',
  'http://example.com/"onmouseover="window.pwned=1 http://example.com/<svg/onload=window.pwned=1>',
  "{{constructor.constructor('window.pwned=1')()}} ${window.pwned=1} ' \" ` \\ </textarea></title>",
  'a\u202egnp.exe \u2066\u2067 left open',
];
// In Markdown syntax.
const marked = [
  `${'> '.repeat(1500)}- ${'*_'.repeat(400)}<img src=x onerror="window.pwned=1">`,
  '[click](javascript:window.pwned=1) [x](data:text/html,<script>window.pwned=1</script>) [y](vbscript:x) ![i](x"onerror="window.pwned=1) **b**',
  '> <img src=x onerror="window.pwned=1">\n\n- <svg onload=window.pwned=1>\n\n```html\n<script>window.pwned=1</script>\n```\n\n[j]: javascript:window.pwned=1\n[j]',
];
const title = `"><svg onload=window.pwned=1> ${markup} {{7*7}}`.slice(0, 100);

const fileName = '"><img src=x onerror=window.pwned=1>.html';

let server;
let root;
let ada;
before(async () => {
  server = await Server.start('--admin', `chief:${PASSWORD}`);
  ada = await server.person('ada');
  const bob = await server.person('bob');
  const chief = await server.person('chief', 'login');
  const eve = await server.person('eve');
  await ada.call('POST', 'v1/rooms', { name: 'evil', title });
  for (const message of texts) {
    const { id } = await bob.say('evil', message);
    await ada.call('POST', 'v1/rooms/evil/messages', { message, reply_to: id });
    await bob.call('POST', 'v1/private/ada/messages', { message });
    await bob.call('POST', 'v1/private/chief/messages', { message });
  }
  await ada.enter('marked');
  for (const message of marked) await ada.say('marked', message);
  // Names of users and of files, also in threads, pins and mentions.
  await eve.call('PATCH', 'v1/me', { display_name: `<img src=x onerror="window.pwned=1">{{7*7}}` });
  await eve.enter('named');
  const { id } = await (await fetch(`${server.url}v1/rooms/named/files?name=${encodeURIComponent(fileName)}`, {
    method: 'POST', headers: { Authorization: `Bearer ${eve.token}` }, body: markup,
  })).json();
  root = (await eve.call('POST', 'v1/rooms/named/messages', { message: `@chief ${markup}`, files: [id], data: { html: markup } })).id;
  await eve.call('POST', 'v1/rooms/named/messages', { message: `@chief ${texts[2]}`, thread: root });
  await eve.call('PUT', `v1/rooms/named/messages/${root}/pin`);
  await chief.enter('named');
  for (const person of [ada, chief]) await person.call('POST', 'v1/tokens', { name: markup });
  await chief.enter('evil');
});
after(() => server?.stop());

/** Checks that none of the texts has become more than text. */
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
  test(`user text is harmless wherever it is shown: ${locale}`, async () => {
    const win = await on.newWindow(server, { locale });
    const { page } = win;
    page.on('dialog', (dialog) => { win.faults.push(dialog.message()); dialog.dismiss(); });
    await win.enter('login', 'chief');
    for (const [at, text] of [
      ['#/rooms/evil', texts[3]],
      ['#/rooms/evil', texts[0]],
      ['#/rooms/marked', '[click](javascript:window.pwned=1)'],
      ['#/rooms/marked', '<svg onload=window.pwned=1>'],
      ['#/rooms/evil', title],
      ['#/rooms/evil/here', title],
      ['#/rooms/evil/settings', title],
      ['#/rooms/named', fileName],
      ['#/rooms/named', '<img src=x onerror="window.pwned=1">{{7*7}}'],
      [`#/rooms/named/thread/${root}`, texts[2]],
      ['#/mentions', texts[2]],
      ['#/people', '<img src=x onerror="window.pwned=1">{{7*7}}'],
      ['#/private/eve', '<img src=x onerror="window.pwned=1">{{7*7}}'],
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
    // Live, in form fields, and in a message being edited.
    await win.page.goto(`${server.url}#/rooms/evil`);
    await win.at('evil').catch(() => win.live()); // its heading may be the title
    await win.say(texts[0]);
    await ada.say('evil', `live ${texts[2]}`);
    await shows(page, 'the room', `live ${texts[2]}`);
    await unharmed(page, 'live');
  });
}

test('the API reference shows nothing from its own address', async () => {
  const win = await on.newWindow(server);
  await win.page.goto(`${server.url}docs?x=${encodeURIComponent(markup)}#${encodeURIComponent(markup)}`);
  await until('the reference is loaded', () => win.page.evaluate(() => document.body.innerText.includes('/v1/rooms')));
  await unharmed(win.page, '/docs');
});
