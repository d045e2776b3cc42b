// The private conversations of the user, the latest first.
import type { components, NotifyLevel, Tandem, TandemEvent } from '@tandem/client';
import { computed, shallowRef, type Ref } from 'vue';
import { pages } from './pages';

type Conversation = components['schemas']['Conversation'];

export function createConversations(tandem: Tandem, seen: Ref<string | undefined>) {
  const all = shallowRef(new Map<string, Conversation>());

  function change(username: string, change: (c: Conversation) => Partial<Conversation>): void {
    const c = all.value.get(username) ?? { username, unread: 0, last_id: 0, notify: 'all' as const };
    all.value = new Map(all.value).set(username, { ...c, ...change(c) });
  }

  async function load(): Promise<void> {
    const items = await pages((after?: number) =>
      tandem.request('GET', '/v1/private', { query: { after, limit: 100 } }),
    );
    all.value = new Map(items.map((c) => [c.username, c]));
  }

  function receive(event: TandemEvent): void {
    const me = tandem.user;
    switch (event.type) {
      case 'private_message': {
        // As on the server: replies in threads do not count.
        const counts = typeof event.thread !== 'number' && !event.deleted && seen.value !== `private ${event.user}`;
        return change(event.user, ({ unread, last_id }) => {
          // The list may be newer than the events, which come again after an interruption.
          if (event.id <= last_id) return {};
          return { last_id: event.id, unread: event.user === me ? 0 : unread + Number(counts) };
        });
      }
      case 'private_message_delivered':
        return change(event.target, ({ last_id }) => ({ last_id: Math.max(last_id, event.message_id) }));
      case 'message_read':
        if (event.user && !event.room) void load().catch(() => {});
    }
  }

  return {
    all,
    list: computed(() => [...all.value.values()].sort((a, b) => b.last_id - a.last_id)),
    load,
    receive,
    async notify(username: string, level: NotifyLevel): Promise<void> {
      await tandem.private(username).notify(level);
      change(username, () => ({ notify: level }));
    },
    read(username: string): void {
      if (all.value.has(username)) change(username, () => ({ unread: 0 }));
    },
  };
}
