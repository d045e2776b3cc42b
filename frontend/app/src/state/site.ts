// What the whole app shows around the open conversation: rooms, private conversations, who is online, who I am. One for
// each login, fed by the one stream.
import type { User } from '@tandem/client';
import { useEvents, useTandem } from '@tandem/client/vue';
import { computed, inject, onScopeDispose, provide, shallowRef, type InjectionKey } from 'vue';
import { createConversations } from './conversations';
import { createDrafts } from './drafts';
import { farewell } from './farewell';
import { createOnline } from './online';
import { createRooms } from './rooms';
import { createUnsent } from './unsent';

const LOOK = 30_000; // ms between looks at the list of rooms: what others make is no event of ours

function create() {
  const tandem = useTandem();
  const user = tandem.user!;
  const drafts = createDrafts(user);
  const unsent = createUnsent(tandem, user);
  /** Whose latest messages are on the screen: `room lobby`, `private bob`. They are read as they come. */
  const seen = shallowRef<string>();
  const rooms = createRooms(tandem, seen);
  const conversations = createConversations(tandem, seen);
  const online = createOnline();
  const me = shallowRef<User>({ username: user, role: 'user' });

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
    if (event.type === 'stream_close' && event.reason === 'disabled') farewell.value = 'disabled';
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
  /** Ends the session, and forgets what its user has written. Here in any case, also where the server is not reached. */
  async function leave(): Promise<void> {
    farewell.value = 'left';
    drafts.forget();
    unsent.forget();
    await tandem.logout().catch(() => {});
  }
  return { rooms, conversations, online, me, unread, seen, drafts, unsent, leave };
}

export type Site = ReturnType<typeof create>;
const KEY: InjectionKey<Site> = Symbol('site');

export function provideSite(): Site {
  const site = create();
  provide(KEY, site);
  return site;
}

export const useSite = (): Site => inject(KEY)!;
