// The rooms that the user can see, with unread counts of those they are a member of.
import type { components, NotifyLevel, Room, Tandem, TandemEvent } from '@tandem/client';
import { computed, shallowRef, type Ref } from 'vue';
import { mentions } from './mentions';
import { pages } from './pages';

type Change = components['schemas']['RoomChange'];
type New = components['schemas']['NewRoom'];

export function createRooms(tandem: Tandem, seen: Ref<string | undefined>) {
  const all = shallowRef(new Map<string, Room>());
  const loaded = shallowRef(false);

  function put(room: Room): Room {
    all.value = new Map(all.value).set(room.name, room);
    return room;
  }
  function change(name: string, change: (room: Room) => Partial<Room>): void {
    const room = all.value.get(name);
    if (room) put({ ...room, ...change(room) });
  }
  function drop(name: string): void {
    const rest = new Map(all.value);
    if (rest.delete(name)) all.value = rest;
  }

  async function load(): Promise<void> {
    const items = await pages((after?: string) => tandem.request('GET', '/v1/rooms', { query: { after, limit: 100 } }));
    all.value = new Map(items.map((room) => [room.name, room]));
    loaded.value = true;
  }

  /** One room's current state. Throws TandemError if it does not exist, or the user cannot see it. */
  async function look(name: string): Promise<Room> {
    return put(await tandem.request('GET', '/v1/rooms/{room}', { path: { room: name } }));
  }

  function receive(event: TandemEvent): void {
    const me = tandem.user;
    switch (event.type) {
      case 'chat_message':
        return change(event.room, (room) => {
          if (event.deleted) return {};
          const more = mentions(event, me ?? '') ? 1 : 0;
          // Unread counts are of the main line. Visible messages in it count as read.
          if (typeof event.thread === 'number') return { mentions: room.mentions + more };
          // The list may be newer than the events, which come again after an interruption.
          if (event.id <= room.last_id) return {};
          const read = event.user === me || seen.value === `room ${event.room}`;
          return {
            last_id: event.id,
            unread: room.unread + (read ? 0 : 1),
            mentions: room.mentions + (read ? 0 : more),
          };
        });
      case 'room_updated': {
        const { title, visibility, posting, receipts = false, slow_mode = 0, retention } = event;
        return change(event.room, () => ({ title, visibility, posting, receipts, slow_mode, retention }));
      }
      case 'room_deleted':
        return drop(event.room);
      case 'member_added':
        if (event.target === me) void look(event.room).catch(() => {});
        return;
      case 'member_removed':
        if (event.target === me) void look(event.room).catch(() => drop(event.room));
        return;
      case 'member_muted':
        return event.target === me ? change(event.room, () => ({ muted_until: event.until })) : undefined;
      case 'member_unmuted':
        return event.target === me ? change(event.room, () => ({ muted_until: undefined })) : undefined;
      case 'message_read':
        // Only the server knows how many are left after the marker.
        if (event.room) void look(event.room).catch(() => {});
        return;
      case 'user_list':
        return event.room ? change(event.room, () => ({ online: event.count })) : undefined;
      case 'user_join':
        return event.room ? change(event.room, ({ online }) => ({ online: online + 1 })) : undefined;
      case 'user_leave':
        return event.room ? change(event.room, ({ online }) => ({ online: Math.max(0, online - 1) })) : undefined;
    }
  }

  return {
    all,
    loaded,
    list: computed(() => [...all.value.values()].sort((a, b) => a.name.localeCompare(b.name))),
    load,
    look,
    receive,
    /** Marks everything there as read. */
    read(name: string): void {
      const { mentions } = all.value.get(name) ?? {};
      change(name, () => ({ unread: 0 }));
      if (mentions) void look(name).catch(() => {}); // threads may have mentions after the marker
    },
    /** Makes the user a member, and creates the room if needed. */
    async enter(name: string): Promise<Room> {
      await tandem.room(name).enter();
      return look(name);
    },
    create: async (room: New) => put(await tandem.request('POST', '/v1/rooms', { body: room })),
    change: async (name: string, body: Change) =>
      put(await tandem.request('PATCH', '/v1/rooms/{room}', { path: { room: name }, body })),
    async notify(name: string, level: NotifyLevel): Promise<void> {
      await tandem.room(name).notify(level);
      change(name, () => ({ notify: level }));
    },
    async delete(name: string): Promise<void> {
      await tandem.request('DELETE', '/v1/rooms/{room}', { path: { room: name } });
      drop(name);
    },
    async leave(name: string): Promise<void> {
      await tandem.room(name).leave();
      await look(name).catch(() => drop(name)); // a private room disappears with the membership
    },
  };
}
