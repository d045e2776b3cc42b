// What the whole app shows around the open conversation: rooms, private conversations, who is online, who I am. One for
// each login, fed by the one stream.
import type { User } from '@tandem/client';
import { useEvents, useTandem } from '@tandem/client/vue';
import { computed, inject, onScopeDispose, provide, shallowRef, type InjectionKey } from 'vue';
import { createConversations } from './conversations';
import { createOnline } from './online';
import { createRooms } from './rooms';

const LOOK = 30_000; // ms between looks at the list of rooms: what others make is no event of ours

function create() {
  const tandem = useTandem();
  const rooms = createRooms(tandem);
  const conversations = createConversations(tandem);
  const online = createOnline();
  const me = shallowRef<User>({ username: tandem.user ?? '', role: 'user' });

  // A list that could not be loaded stays as it is until the next look.
  const load = () => Promise.allSettled([rooms.load(), conversations.load()]);
  void tandem.request('GET', '/v1/me').then(
    (user) => (me.value = user),
    () => {},
  );

  let fresh = false;
  useEvents((event) => {
    rooms.hear(event);
    conversations.hear(event);
    online.hear(event);
    if (event.type === 'stream_reset' || (event.type === 'stream_open' && !fresh)) void load();
    if (event.type === 'stream_open') fresh = true; // from now on events tell what changes
  });
  void load();

  const look = () => void (document.hidden || rooms.load().catch(() => {}));
  const timer = setInterval(look, LOOK);
  document.addEventListener('visibilitychange', look);
  onScopeDispose(() => {
    clearInterval(timer);
    document.removeEventListener('visibilitychange', look);
  });

  const unread = computed(
    () =>
      rooms.list.value.reduce((sum, room) => sum + (room.role ? room.unread : 0), 0) +
      conversations.list.value.reduce((sum, c) => sum + c.unread, 0),
  );
  return { rooms, conversations, online, me, unread };
}

export type Site = ReturnType<typeof create>;
const KEY: InjectionKey<Site> = Symbol('site');

export function provideSite(): Site {
  const site = create();
  provide(KEY, site);
  return site;
}

export const useSite = (): Site => inject(KEY)!;
