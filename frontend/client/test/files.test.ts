// Files in messages, against the real program, with a fetch that fails on demand.
import { describe, expect, test, vi } from 'vitest';
import type { Message, Tandem, Upload } from '../src/index.js';
import { problem } from '../src/problem.js';
import { Rest } from '../src/rest.js';
import { faulty, lost, person, server, until } from './people.js';

const running = server();

const text = (name: string, content = name) => new File([content], name, { type: 'text/plain' });
const posts = /\/messages$/;
const uploads = /\/rooms\/[^/]+\/files$/;

/** A room that one user writes to and another follows. */
async function place(name: string, options: object = {}) {
  const [ada, bob] = [await person(running.now.url, options), await person(running.now.url)];
  for (const client of [ada, bob]) await client.room(name).enter();
  const seen = bob.room(name);
  seen.subscribe(() => {});
  await until('the room is loaded', () => !seen.getSnapshot().loading && seen.getSnapshot().users.length > 0);
  return { ada, bob, room: ada.room(name), last: () => seen.getSnapshot().messages.at(-1) as Message };
}

const content = async (client: Tandem, id: string) => (await client.files.blob(id)).text();

test('a message with files has them, and each can be loaded by its link or as a whole', async () => {
  const { bob, room, last } = await place('files');
  const item = room.send('two', { files: [text('one.txt', 'first'), new Blob(['second'])] });
  expect(item.state).toBe('uploading');
  expect(item.uploads).toMatchObject([
    { name: 'one.txt', size: 5, type: 'text/plain', state: 'uploading' },
    { size: 6, state: 'waiting' },
  ]);
  await item.sent();
  await until('the message arrives', () => last()?.message === 'two');
  const files = last().files!;
  expect(files).toMatchObject([
    { name: 'one.txt', size: 5 },
    { size: 6, preview: false },
  ]);
  expect(await content(bob, files[0]!.id)).toBe('first');
  expect(await content(bob, files[1]!.id)).toBe('second');

  const link = await bob.files.link(files[0]!.id);
  expect(await (await fetch(link)).text()).toBe('first');
  expect(await bob.files.link(files[0]!.id)).toBe(link);
  await room.delete(item.event!.id);
  await until('the message is deleted', () => last().deleted === true);
  expect(last().files).toBeUndefined();
  await expect(bob.files.blob(files[0]!.id)).rejects.toMatchObject({ code: 'file_not_found' });
});

test('files alone make a message, also in a conversation and in a thread', async () => {
  const { ada, bob, room } = await place('files-alone');
  const { id } = await room.send('', { files: [text('a')] }).sent();
  const reply = await room.thread(id).send('', { files: [text('b')] }).sent();
  expect(reply).toMatchObject({ thread: id, files: [{ name: 'b' }] });
  const psst = await ada
    .private(bob.user!)
    .send('', { files: [text('c')] })
    .sent();
  expect(psst).toMatchObject({ message: '', files: [{ name: 'c' }] });
});

test('a finished upload is not repeated when the network fails, and later messages are sent first', async () => {
  let away = false;
  const spy = faulty((path, go) => (away && (uploads.test(path) || posts.test(path)) ? lost() : go()));
  const { room, last } = await place('by-parts', { fetch: spy.fetch });
  const seen: Upload['state'][][] = [];
  room.subscribe(() => {
    const pending = room.getSnapshot().messages.find((m) => m.uploads?.length);
    if (pending) seen.push(pending.uploads!.map((upload) => upload.state));
    if (seen.at(-1)?.[0] === 'done') away ||= !back;
  });
  let back = false;
  await until('the room is loaded', () => !room.getSnapshot().loading);
  const item = room.send('all', { files: [text('a'), text('b'), text('c')] });
  await until('one upload is done and the next waits', () => item.uploads[1]!.error?.code === 'unreachable');
  expect(item.uploads.map(({ state }) => state)).toEqual(['done', 'waiting', 'waiting']);
  expect(item.state).toBe('uploading');
  back = true;
  away = false;
  const other = room.send('meanwhile');
  await item.sent();
  await until('the message arrives', () => last()?.message === 'all');
  expect(last().files!.map(({ name }) => name)).toEqual(['a', 'b', 'c']);
  expect(other.event!.id).toBeLessThan(item.event!.id);
  const sent = spy.calls.filter((path) => uploads.test(path)).length;
  const failed = seen.filter(([, second]) => second === 'waiting').length ? 1 : 0;
  expect(sent).toBeGreaterThanOrEqual(3 + failed);
  expect(seen.every(([first], i) => first === 'done' || !seen.slice(0, i).some(([before]) => before === 'done'))).toBe(true);
});

test('a refused file fails its message, which can be sent without it', async () => {
  const spy = faulty((path, go) => {
    if (!uploads.test(path) || spy.calls.filter((p) => uploads.test(p)).length !== 2) return go();
    return Promise.resolve(new Response(JSON.stringify({ code: 'file_too_large' }), { status: 413 }));
  });
  const { room, last } = await place('refused', { fetch: spy.fetch });
  const item = room.send('some', { files: [text('good'), text('bad'), text('also good')] });
  await expect(item.sent()).rejects.toMatchObject({ code: 'file_too_large' });
  expect(item.state).toBe('failed');
  expect(item.uploads.map(({ state }) => state)).toEqual(['done', 'failed', 'waiting']);
  item.uploads[1]!.cancel();
  item.retry();
  await item.sent();
  await until('the message arrives', () => last()?.message === 'some');
  expect(last().files!.map(({ name }) => name)).toEqual(['good', 'also good']);
  expect(spy.calls.filter((path) => uploads.test(path))).toHaveLength(3);
});

describe('is cancelled', () => {
  /** A fetch whose uploads hang until they are aborted. */
  const hanging = () => {
    const spy = faulty();
    const aborted: string[] = [];
    const started: string[] = [];
    const hang = (input: unknown, init?: RequestInit) => {
      const path = new URL(input as string).pathname;
      if (!uploads.test(path)) return spy.fetch(input as string, init);
      const name = new URL(input as string).searchParams.get('name')!;
      if (name !== 'big') return spy.fetch(input as string, init);
      started.push(name);
      return new Promise<Response>((_, fail) => {
        init!.signal!.addEventListener('abort', () => {
          aborted.push(name);
          fail(new DOMException('', 'AbortError'));
        });
      });
    };
    return { fetch: hang as typeof fetch, aborted, started };
  };

  test('a file of a message, which is sent with the others', async () => {
    const { fetch, aborted, started } = hanging();
    const { room, last } = await place('cancel-one', { fetch });
    const item = room.send('rest', { files: [text('big'), text('small')] });
    await until('the upload has started', () => started.length === 1);
    item.uploads[0]!.cancel();
    await item.sent();
    expect(aborted).toEqual(['big']);
    await until('the message arrives', () => last()?.message === 'rest');
    expect(last().files!.map(({ name }) => name)).toEqual(['small']);
  });

  test('a file that is uploaded, while its message waits', async () => {
    let away = true;
    const spy = faulty((path, go) => (away && posts.test(path) ? lost() : go()));
    const { room, last } = await place('cancel-uploaded', { fetch: spy.fetch });
    const first = room.send('first');
    await until('a message waits', () => first.error?.code === 'unreachable');
    const item = room.send('second', { files: [text('wrong'), text('right')] });
    await until('its files are uploaded', () => item.state === 'queued');
    item.uploads[0]!.cancel();
    away = false;
    await item.sent();
    await until('the message arrives', () => last()?.message === 'second');
    expect(last().files!.map(({ name }) => name)).toEqual(['right']);
  });

  test('the only content of a message, and with it the message', async () => {
    const { fetch, aborted, started } = hanging();
    const { room } = await place('cancel-all', { fetch });
    const item = room.send('', { files: [text('big')] });
    await until('the upload has started', () => started.length === 1);
    item.uploads[0]!.cancel();
    await expect(item.sent()).rejects.toMatchObject({ code: 'discarded' });
    expect(aborted).toEqual(['big']);
  });

  test('a message with its files, with a signal', async () => {
    const { fetch, aborted, started } = hanging();
    const { room } = await place('cancel-signal', { fetch });
    const end = new AbortController();
    const item = room.send('no', { files: [text('big')], signal: end.signal });
    await until('the upload has started', () => started.length === 1);
    end.abort();
    await expect(item.sent()).rejects.toMatchObject({ code: 'discarded' });
    expect(aborted).toEqual(['big']);
    expect(room.outbox.items).toEqual([]);
  });
});

test('an earlier upload is sent by its id: after a reload it is posted once', async () => {
  const { room } = await place('again');
  const first = room.send('x', { files: [text('a')] });
  const { files } = (await first.sent()) as { files?: NonNullable<Message['files']> };
  const again = await room.send('x', { files, nonce: first.nonce }).sent();
  expect(again.id).toBe(first.event!.id);
  const twice = room.send('y', { files });
  await expect(twice.sent()).rejects.toMatchObject({ status: 400, errors: [{ field: 'files' }] });
});

test('a retry repeats uploads that no longer exist', async () => {
  let gone = true;
  const spy = faulty((path, go) => {
    if (!posts.test(path) || !gone) return go();
    gone = false;
    const body = { code: 'invalid_request', errors: [{ field: 'files', detail: 'None that can be posted' }] };
    return Promise.resolve(new Response(JSON.stringify(body), { status: 400 }));
  });
  const { room, last } = await place('expired', { fetch: spy.fetch });
  const item = room.send('late', { files: [text('a')] });
  await expect(item.sent()).rejects.toMatchObject({ code: 'invalid_request' });
  item.retry();
  await item.sent();
  await until('the message arrives', () => last()?.message === 'late');
  expect(spy.calls.filter((path) => uploads.test(path))).toHaveLength(2);
});

test('an exhausted quota fails at once, rather than waiting for tomorrow', async () => {
  const spy = faulty((path, go) => {
    if (!uploads.test(path)) return go();
    const init = { status: 429, headers: { 'Retry-After': '3600' } };
    return Promise.resolve(new Response(JSON.stringify({ code: 'rate_limited' }), init));
  });
  const { room } = await place('quota', { fetch: spy.fetch });
  const item = room.send('much', { files: [text('a')] });
  await expect(item.sent()).rejects.toMatchObject({ code: 'rate_limited', retryAfter: 3600 });
});

test('a link is requested once for all callers, and again before it expires', async () => {
  const spy = faulty();
  const { ada, room } = await place('links', { fetch: spy.fetch });
  const { files } = (await room.send('', { files: [text('a')] }).sent()) as { files?: NonNullable<Message['files']> };
  const { id } = files![0]!;
  const links = await Promise.all([ada.files.link(id), ada.files.link(id), ada.files.link(id, { preview: true })]);
  expect(links[1]).toBe(links[0]);
  expect(links[2]).toBe(`${links[0]}&preview=1`);
  const asked = () => spy.calls.filter((path) => path.endsWith('/link')).length;
  expect(asked()).toBe(1);
  const now = Date.now;
  Date.now = () => now() + 56 * 60_000;
  try {
    expect(await ada.files.link(id)).toContain(id);
  } finally {
    Date.now = now;
  }
  expect(asked()).toBe(2);
});

test('an upload whose last bytes are handed over has as long to arrive as one without progress', async () => {
  let now!: { upload: { onprogress?: (event: { loaded: number }) => void }; onabort?: () => void };
  class Fake {
    upload = {};
    onabort?: () => void;
    constructor() {
      now = this; // eslint-disable-line @typescript-eslint/no-this-alias
    }
    open() {}
    setRequestHeader() {}
    send() {}
    abort() {
      this.onabort!();
    }
  }
  vi.stubGlobal('XMLHttpRequest', Fake);
  vi.useFakeTimers();
  try {
    const raw = new Blob([new Uint8Array(800_000)]); // 100 s at 8 kB/s
    let failed: unknown;
    const call = new Rest('http://tandem.test').json('POST', '/v1/me/files', { raw, progress: () => {} });
    call.catch((err: unknown) => (failed = err));
    await vi.advanceTimersByTimeAsync(14_000);
    now.upload.onprogress!({ loaded: 400_000 });
    await vi.advanceTimersByTimeAsync(14_000);
    now.upload.onprogress!({ loaded: 800_000 });
    await vi.advanceTimersByTimeAsync(114_000);
    expect(failed).toBeUndefined();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(failed).toMatchObject({ code: 'timeout' });
  } finally {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  }
});

test("a proxy's limit on the size is final, its other errors are not", () => {
  expect(problem(413, {}).final).toBe(true);
  expect(problem(403, {}).final).toBe(false);
  expect(problem(502, {}).final).toBe(false);
});
