// State for the whole app around the open conversation: rooms, private conversations, users online, and the current
// user. There is one per login, updated by the one stream.
import type { components } from '@tandem/client';
import { useEvents, useTandem } from '@tandem/client/vue';
import { computed, inject, onScopeDispose, provide, shallowRef, type InjectionKey } from 'vue';
import { useRouter } from 'vue-router';
import { createConversations } from './conversations';
import { createDrafts } from './drafts';
import { farewell } from './farewell';
import { createNotifications } from './notifications';
import { createOnline } from './online';
import { createRooms } from './rooms';
import { createUnsent } from './unsent';

type Me = components['schemas']['Me'];

const LOOK = 30_000; // ms between polls of the list of rooms: there are no events for rooms that others create

function create() {
  const tandem = useTandem();
  const user = tandem.user!;
  const drafts = createDrafts(user);
  const unsent = createUnsent(tandem, user);
  /** Conversations whose latest messages are visible, such as `room lobby` or `private bob`. New messages there count as read. */
  const seen = shallowRef<string>();
  const rooms = createRooms(tandem, seen);
  const conversations = createConversations(tandem, seen);
  const online = createOnline();
  const me = shallowRef<Me>({ username: user, display_name: user, role: 'user', receipts: true, invisible: false });
  /** The user whose card is open, and the element next to it. */
  const card = shallowRef<{ name: string; anchor: HTMLElement }>();

  const mentions = computed(() => rooms.list.value.reduce((sum, room) => sum + (room.role ? room.mentions : 0), 0));
  const direct = computed(() => conversations.list.value.reduce((sum, c) => sum + c.unread, 0));
  const notifications = createNotifications(
    tandem,
    user,
    useRouter(),
    {
      room: (name) => rooms.all.value.get(name)?.notify ?? 'mentions',
      person: (name) => conversations.all.value.get(name)?.notify ?? 'all',
    },
    computed(() => mentions.value + direct.value),
  );

  let known = false;
  async function know(): Promise<void> {
    me.value = await tandem.request('GET', '/v1/me');
    known = true;
  }
  // If loading fails, a list keeps its state until the next poll.
  const load = () => Promise.allSettled([rooms.load(), conversations.load(), known || know()]);

  let fresh = false;
  useEvents((event) => {
    rooms.receive(event);
    conversations.receive(event);
    online.receive(event);
    notifications.receive(event);
    if (event.type === 'stream_close' && event.reason === 'disabled') farewell.value = 'disabled';
    if (event.type === 'stream_reset' || (event.type === 'stream_open' && !fresh)) void load();
    if (event.type === 'stream_open') fresh = true; // from now on changes arrive as events
  });
  void load();

  // Conversations too: what another device has read meanwhile is not announced again after an interruption.
  const look = () => void (document.hidden || load());
  const timer = setInterval(look, LOOK);
  document.addEventListener('visibilitychange', look);
  onScopeDispose(() => {
    clearInterval(timer);
    document.removeEventListener('visibilitychange', look);
  });

  const unread = computed(
    () => rooms.list.value.reduce((sum, room) => sum + (room.role ? room.unread : 0), 0) + direct.value,
  );
  /** Ends the session and deletes the user's drafts, also if the server cannot be reached. */
  async function leave(): Promise<void> {
    farewell.value = 'left';
    drafts.forget();
    unsent.forget();
    await tandem.logout().catch(() => {});
  }
  return { rooms, conversations, online, me, unread, mentions, notifications, card, seen, drafts, unsent, leave };
}

export type Site = ReturnType<typeof create>;
const KEY: InjectionKey<Site> = Symbol('site');

export function provideSite(): Site {
  const site = create();
  provide(KEY, site);
  return site;
}

export const useSite = (): Site => inject(KEY)!;
