// Profiles, pins and read receipts, against the real program.
import { describe, expect, test } from 'vitest';
import type { Tandem } from '../src/index.js';
import { People } from '../src/people.js';
import { faulty, person, server, until } from './people.js';

const running = server();

const lookups = (calls: string[]) => calls.filter((path) => path === '/v1/users').length;
const named = async (display_name: string) => {
  const client = await person(running.now.url);
  await client.request('PATCH', '/v1/me', { body: { display_name } });
  return client;
};

describe('people', () => {
  test('on one screen are loaded with one call, and then cached', async () => {
    const all = await Promise.all(['Ada L.', 'Bob M.', 'Cem N.'].map(named));
    const spy = faulty();
    const { people } = await person(running.now.url, { fetch: spy.fetch });
    const names = all.map(({ user }) => user!);
    expect(people.peek(names[0]!)).toEqual({ username: names[0] });
    const profiles = await Promise.all([...names, names[0]!, 'nobody-here'].map((name) => people.get(name)));
    expect(profiles.map(({ display_name }) => display_name)).toEqual(['Ada L.', 'Bob M.', 'Cem N.', 'Ada L.', undefined]);
    expect(profiles[4]).toEqual({ username: 'nobody-here' });
    expect(lookups(spy.calls)).toBe(1);
    expect(people.peek(names[1]!).display_name).toBe('Bob M.');
    expect(people.peek(names[1]!)).toBe(people.peek(names[1]!));
    await people.get('nobody-here');
    expect(lookups(spy.calls)).toBe(1);
  });

  test('more than a hundred take as many calls as needed', async () => {
    const spy = faulty();
    const client = await person(running.now.url, { fetch: spy.fetch });
    const names = Array.from({ length: 150 }, (_, i) => `none-${i}`);
    await Promise.all([...names, client.user!].map((name) => client.people.get(name)));
    expect(lookups(spy.calls)).toBe(2);
    expect(client.people.peek(client.user!).online).toBe(false);
  });

  test('that change are loaded again, where they are shown', async () => {
    const ada = await named('Ada');
    const bob = await person(running.now.url);
    for (const client of [ada, bob]) await client.room('profiles').enter();
    const off = bob.room('profiles').subscribe(() => {});
    await until('the room is live and loaded', () => bob.status.state === 'live' && !bob.room('profiles').getSnapshot().loading);
    const shown: (string | undefined)[] = [];
    bob.people.subscribe(() => {
      const { display_name } = bob.people.peek(ada.user!);
      if (shown.at(-1) !== display_name) shown.push(display_name);
    });
    bob.people.peek(ada.user!);
    await until('the profile is loaded', () => shown.includes('Ada'));
    await ada.request('PATCH', '/v1/me', { body: { display_name: 'Countess' } });
    await until('the new name arrives', () => shown.includes('Countess'));
    expect(shown).toEqual(['Ada', 'Countess']);
    off();
  });

  test.each([
    ['older', [0, 1]],
    ['newer', [1, 0]],
  ])('that change while they are fetched are fetched again; the %s response comes first', async (_, order) => {
    const respond: ((profiles: { username: string; display_name?: string }[]) => void)[] = [];
    const people = new People(() => new Promise((resolve) => respond.push(resolve)));
    people.subscribe(() => void people.peek('ada'));
    people.peek('ada');
    await until('the profile is requested', () => respond.length === 1);
    people.changed('ada');
    await until('it is requested again', () => respond.length === 2);
    for (const i of order) {
      respond[i]!([{ username: 'ada', display_name: ['old', 'new'][i] }]);
      await new Promise((resolve) => setTimeout(resolve));
    }
    expect(people.peek('ada').display_name).toBe('new');
    expect(respond.length).toBe(2);
  });

  test('have pictures, which every logged-in user can see', async () => {
    const [ada, bob] = [await person(running.now.url), await person(running.now.url)];
    const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
    const { id } = await ada.files.uploadAvatar(new Blob([Buffer.from(png, 'base64')]));
    await ada.request('PATCH', '/v1/me', { body: { avatar: id } });
    const { avatar } = await bob.people.get(ada.user!);
    expect(avatar).toBeTruthy();
    expect((await bob.files.blob(avatar!)).type).toBe('image/png');
    const res = await fetch(await bob.files.link(avatar!));
    expect([res.status, res.headers.get('Content-Type')]).toEqual([200, 'image/png']);
  });

  test('are not kept for the next user', async () => {
    const ada = await named('Ada');
    const client = await person(running.now.url);
    await client.people.get(ada.user!);
    await client.logout();
    expect(client.people.peek(ada.user!)).toEqual({ username: ada.user });
  });
});

async function two(name: string): Promise<[Tandem, Tandem]> {
  const all: [Tandem, Tandem] = [await person(running.now.url), await person(running.now.url)];
  for (const client of all) await client.room(name).enter();
  return all;
}

test('pinned messages are a live list', async () => {
  const [ada, bob] = await two('pinned');
  const room = ada.room('pinned');
  const { pins } = bob.room('pinned');
  expect(pins.getSnapshot()).toBeUndefined();
  const first = await room.send('first').sent();
  const second = await room.send('second').sent();
  await room.pin(first.id);
  const off = pins.subscribe(() => {});
  const texts = () => pins.getSnapshot()?.map(({ message }) => message);
  await until('the first pin is loaded', () => texts()?.join() === 'first');
  await room.pin(second.id);
  await until('both pins are shown', () => texts()?.join() === 'second,first');
  await room.edit(second.id, 'zweite');
  await until('the pinned message is edited', () => texts()?.join() === 'zweite,first');
  await room.pin(first.id, false);
  await until('one pin is left', () => texts()?.join() === 'zweite');
  await room.delete(second.id);
  await until('no pin is left', () => texts()?.length === 0);
  await expect(bob.room('pinned').pin(first.id)).rejects.toMatchObject({ status: 403 });
  off();
});

test('the notification level is kept for a room and a conversation', async () => {
  const [ada, bob] = await two('told');
  await ada.room('told').notify('all');
  await ada.private(bob.user!).send('hi').sent();
  await ada.private(bob.user!).notify('none');
  const room = await ada.request('GET', '/v1/rooms/{room}', { path: { room: 'told' } });
  expect(room.notify).toBe('all');
  const { items } = await ada.request('GET', '/v1/private');
  expect(items.find(({ username }) => username === bob.user)?.notify).toBe('none');
});
test('how far the other user has read is shown in a conversation, live and when it is opened', async () => {
  const [ada, bob] = await two('read');
  const [mine, theirs] = [ada.private(bob.user!), bob.private(ada.user!)];
  const first = await mine.send('one').sent();
  await theirs.read(first.id);
  const off = mine.seen.subscribe(() => {});
  await until('the receipts are loaded', () => mine.seen.getSnapshot()?.[bob.user!] === first.id);
  const second = await mine.send('two').sent();
  await theirs.read(second.id);
  await until('the new receipt arrives', () => mine.seen.getSnapshot()?.[bob.user!] === second.id);
  off();
});
