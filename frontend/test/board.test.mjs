// The built example of a shared board, in two windows: pointers move, notes stay.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { preview } from 'vite';
import { PASSWORD, Server, launch, until } from './harness.mjs';

let browser;
let server;
let site;
before(async () => {
  [browser, server] = await Promise.all([launch(), Server.start()]);
  site = await preview({
    root: fileURLToPath(new URL('../examples/board', import.meta.url)), configFile: false, logLevel: 'silent',
    preview: { host: '127.0.0.1', port: 0, proxy: { '/v1': { target: server.url, ws: true } } },
  });
});
after(async () => {
  await browser?.close();
  await site?.close();
  await server?.stop();
});

const notes = (page) => page.$$eval('.note', (all) => all.map((note) => ({
  text: note.querySelector('span').textContent, left: parseFloat(note.style.left), top: parseFloat(note.style.top),
})));

async function enter(page, how, name, transport) {
  await page.goto(`http://127.0.0.1:${site.httpServer.address().port}/`);
  await page.fill('[name=name]', name);
  await page.fill('[name=password]', PASSWORD);
  await page.click(`[value=${how}]`);
  await page.selectOption('#transport', transport);
  await until(`${name} is live`, async () => (await page.textContent('#state')).trim() === `live ${transport}`);
}

for (const [one, other] of [['ws', 'sse'], ['sse', 'ws'], ['sse-post', 'poll']]) {
  test(`a board in two windows, over ${one} and ${other}`, async () => {
    const contexts = [await browser.newContext(), await browser.newContext(), await browser.newContext()];
    const faults = [];
    try {
      const [ann, ben, cem] = await Promise.all(contexts.map(async (context) => {
        const page = await context.newPage();
        page.on('pageerror', (err) => faults.push(String(err)));
        return page;
      }));
      const names = [`ann-${one}`, `ben-${other}`];
      await enter(ann, 'signup', names[0], one);
      await enter(ben, 'signup', names[1], other);
      for (const page of [ann, ben]) await until('both users are listed', async () => (await page.textContent('#users')) === names.join(', '));

      const { x, y, width, height } = await (await ann.$('#board')).boundingBox();
      const point = (left, top) => [x + (width * left) / 100, y + (height * top) / 100];
      // A waiting poll is completed by a durable event.
      if (other !== 'poll') {
        for (let left = 20; left <= 30; left++) await ann.mouse.move(...point(left, 40));
        const cursor = ben.locator('.cursor', { hasText: names[0] });
        await until("ben sees ann's pointer where it stopped", () => cursor.evaluate((el) => Math.abs(parseFloat(el.style.left) - 30) < 1 && Math.abs(parseFloat(el.style.top) - 40) < 1));
      }

      await ann.fill('#text', 'buy <b>milk</b>');
      await ann.mouse.dblclick(...point(50, 50));
      await until('ben has the note', async () => (await notes(ben)).length === 1);
      assert.equal((await notes(ben))[0].text, 'buy <b>milk</b>');
      await ann.mouse.move(...point(51, 51));
      await ann.mouse.down();
      await ann.mouse.move(...point(60, 20), { steps: 5 });
      await ann.mouse.up();
      await until('ben sees the note at its new place', async () => Math.abs((await notes(ben))[0].left - 60) < 1 && Math.abs((await notes(ben))[0].top - 20) < 1);

      // A later window has the notes, and no earlier pointers.
      await enter(cem, 'signup', `cem-${one}`, 'ws');
      await until('cem has the note', async () => (await notes(cem)).length === 1);
      assert.deepEqual(await notes(cem), await notes(ben));
      assert.equal(await cem.locator('.cursor').count(), 0);
      await ben.locator('.note button').click();
      for (const page of [ann, ben, cem]) await until('the note is gone', async () => (await notes(page)).length === 0);
      assert.deepEqual(faults, []);
    } finally {
      await Promise.all(contexts.map((context) => context.close()));
    }
  });
}
