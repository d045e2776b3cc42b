// The rooms that the user may see, with what is unread in those that they are a member of.
import type { components, Room, Tandem, TandemEvent } from '@tandem/client';
import { computed, shallowRef, type Ref } from 'vue';
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

  /** One room, as it is now. Throws TandemError where there is none, or not for the user. */
  async function look(name: string): Promise<Room> {
    return put(await tandem.request('GET', '/v1/rooms/{room}', { path: { room: name } }));
  }

  function hear(event: TandemEvent): void {
    const me = tandem.user;
    switch (event.type) {
      case 'chat_message':
        return change(event.room, ({ unread }) => ({
          last_id: event.id,
          unread: event.user === me || seen.value === `room ${event.room}` ? unread : unread + 1,
        }));
      case 'room_updated': {
        const { title, visibility, posting } = event;
        return change(event.room, () => ({ title, visibility, posting }));
      }
      case 'room_deleted':
        return drop(event.room);
      case 'member_added':
        if (event.target === me) void look(event.room).catch(() => {});
        return;
      case 'member_removed':
        if (event.target === me) void look(event.room).catch(() => drop(event.room));
        return;
      case 'message_read':
        // How many are left behind the marker only the server knows.
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
    hear,
    /** All that is there has been read here. */
    read: (name: string) => change(name, () => ({ unread: 0 })),
    /** Makes the user a member, and the room where there is none. */
    async enter(name: string): Promise<Room> {
      await tandem.room(name).enter();
      return look(name);
    },
    create: async (room: New) => put(await tandem.request('POST', '/v1/rooms', { body: room })),
    change: async (name: string, body: Change) =>
      put(await tandem.request('PATCH', '/v1/rooms/{room}', { path: { room: name }, body })),
    async delete(name: string): Promise<void> {
      await tandem.request('DELETE', '/v1/rooms/{room}', { path: { room: name } });
      drop(name);
    },
    async leave(name: string): Promise<void> {
      await tandem.room(name).leave();
      await look(name).catch(() => drop(name)); // a private room is gone with the membership
    },
  };
}
