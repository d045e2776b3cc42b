// The React hooks and Vue composables in real Chromium against the real program: what a component shows of threads,
// pins, receipts, profiles, files and custom events.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createServer } from 'vite';
import { PASSWORD, Server, launch, until } from './harness.mjs';

let browser;
let server;
let vite;
before(async () => {
  [browser, server] = await Promise.all([launch(), Server.start()]);
  vite = await createServer({
    root: fileURLToPath(new URL('../client', import.meta.url)), configFile: false, logLevel: 'silent',
    // The root has folders with these names, for resolvers that do not read exports.
    resolve: { alias: [{ find: /^(react|vue)$/, replacement: fileURLToPath(new URL('../node_modules/$1', import.meta.url)) }] },
    optimizeDeps: { include: ['eventsource-parser', 'react', 'react-dom/client', 'vue'] },
    server: { host: '127.0.0.1', port: 0, proxy: { '/v1': { target: server.url, ws: true } }, hmr: false, watch: null },
  });
  await vite.listen();
});
after(async () => {
  await browser?.close();
  await vite?.close();
  await server?.stop();
});

// Each mounts a component that puts what it shows in window.shown, and returns functions that change the thread and
// unmount it.
const mount = {
  react: async ({ client, room, root, other, file }) => {
    const [{ React, createRoot }, hooks] = await Promise.all([import('/test/frameworks.js'), import('/src/react.ts')]);
    function Show({ id }) {
      const { messages, first } = hooks.useThread(room, id);
      const { handle } = hooks.usePrivate(other);
      const pins = hooks.usePins(room);
      const seen = hooks.useSeen(handle);
      const person = hooks.usePerson(other);
      const people = hooks.usePeople([other, 'nobody']);
      const link = hooks.useFileLink(file);
      hooks.useCustomEvent(room, 'wave', ({ data }) => window.waves.push(data.hand));
      window.shown = { messages: messages.map((m) => m.message), first: first?.message, pins: pins.map((m) => m.message), seen, name: person.display_name, people: people.map((p) => p.username), link };
      return null;
    }
    const place = createRoot(document.body.appendChild(document.createElement('div')));
    const draw = (id) => place.render(React.createElement(hooks.TandemProvider, { client }, React.createElement(Show, { id })));
    draw(root);
    return { draw, end: () => place.unmount() };
  },
  vue: async ({ client, room, root, other, file }) => {
    const [{ Vue }, hooks] = await Promise.all([import('/test/frameworks.js'), import('/src/vue.ts')]);
    const id = Vue.ref(root);
    const app = Vue.createApp({
      setup() {
        const { messages, first } = hooks.useThread(room, id);
        const { handle } = hooks.usePrivate(other);
        const pins = hooks.usePins(room);
        const seen = hooks.useSeen(handle);
        const person = hooks.usePerson(other);
        const people = hooks.usePeople([other, 'nobody']);
        const link = hooks.useFileLink(file);
        hooks.useCustomEvent(room, 'wave', ({ data }) => window.waves.push(data.hand));
        return () => {
          window.shown = { messages: messages.value.map((m) => m.message), first: first.value?.message, pins: pins.value.map((m) => m.message), seen: { ...seen.value }, name: person.value.display_name, people: people.value.map((p) => p.username), link: link.value };
          return null;
        };
      },
    });
    app.use(hooks.tandemPlugin(client));
    app.mount(document.body.appendChild(document.createElement('div')));
    return { draw: (now) => { id.value = now; }, end: () => app.unmount() };
  },
};

for (const kind of ['react', 'vue']) {
  test(`components show everything that messages carry, in ${kind}`, async () => {
    const context = await browser.newContext();
    const faults = [];
    try {
      const bob = await server.person(`bob-${kind}`);
      const room = `hooks-${kind}`;
      await bob.enter(room);
      await bob.call('PATCH', 'v1/me', { display_name: 'Bob M.' });
      const root = await bob.say(room, 'root');
      const next = await bob.say(room, 'other root');
      const path = `v1/rooms/${room}/messages`;
      await bob.call('POST', path, { message: 'reply', thread: root.id });
      const upload = await fetch(`${server.url}v1/rooms/${room}/files?name=a.txt`, { method: 'POST', headers: { Authorization: `Bearer ${bob.token}` }, body: 'bytes' });
      const { id: file } = await upload.json();
      await bob.call('POST', path, { files: [file] });

      const page = await context.newPage();
      page.on('pageerror', (err) => faults.push(String(err)));
      await page.goto(`http://127.0.0.1:${vite.httpServer.address().port}/test/blank.html`);
      const lookups = [];
      page.on('request', (req) => { if (/\/v1\/users\?names=/.test(req.url())) lookups.push(req.url()); });
      await page.evaluate(async ({ source, password, name, ...rest }) => {
        const { createClient } = await import('/src/index.ts');
        window.waves = [];
        window.client = createClient();
        await window.client.signup(name, password);
        window.mounted = await (0, eval)(`(${source})`)({ client: window.client, ...rest });
      }, { source: mount[kind].toString(), password: PASSWORD, name: `ann-${kind}`, room, root: root.id, other: bob.name, file });
      const shows = (what, check) => until(what, async () => check(await page.evaluate(() => window.shown)));

      await shows('the thread', ({ messages, first }) => messages.join() === 'root,reply' && first === 'root');
      await shows('who bob is', ({ name, people }) => name === 'Bob M.' && people.join() === `${bob.name},nobody`);
      assert.equal(lookups.length, 1);
      await shows('the link', ({ link }) => link?.includes(file));
      await bob.call('PUT', `${path}/${next.id}/pin`);
      await shows('the pin', ({ pins }) => pins.join() === 'other root');
      await bob.call('POST', `v1/rooms/${room}/events`, { name: 'wave', data: { hand: 'left' }, ephemeral: true });
      await until('the component gets the event', () => page.evaluate(() => window.waves.join() === 'left'));
      const said = await page.evaluate((name) => window.client.private(name).send('hi').sent(), bob.name);
      await bob.call('PUT', `v1/private/ann-${kind}/read`, { id: said.id });
      await shows('that bob has read it', ({ seen }) => seen[bob.name] === said.id);
      await bob.call('PATCH', 'v1/me', { display_name: 'Robert' });
      await shows('the new name', ({ name }) => name === 'Robert');

      await page.evaluate((id) => window.mounted.draw(id), next.id);
      await shows('the other thread', ({ messages, first }) => messages.join() === 'other root' && first === 'other root');
      await bob.call('POST', path, { message: 'late', thread: next.id });
      await shows('what is said in it', ({ messages }) => messages.join() === 'other root,late');
      await page.evaluate(() => window.mounted.end());
      await until('the client is closed', () => page.evaluate(() => window.client.status.state === 'closed'));
      assert.deepEqual(faults, []);
    } finally {
      await context.close();
    }
  });
}
