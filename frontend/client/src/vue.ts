// Composables for Vue 3. Thin: the stores are in the core.
import {
  computed,
  inject,
  onScopeDispose,
  provide,
  shallowRef,
  toValue,
  watch,
  type ComputedRef,
  type InjectionKey,
  type MaybeRefOrGetter,
  type Plugin,
  type ShallowRef,
} from 'vue';
import type { Tandem } from './client.js';
import type { Conversation, Message, PrivateHandle, RoomHandle, Snapshot } from './conversation.js';
import type { TandemEvent } from './events.js';
import type { Outgoing } from './outbox.js';
import type { Status } from './stream.js';
import type { Transport } from './transports.js';

const KEY: InjectionKey<Tandem> = Symbol('tandem');

/** Gives the client to this component and all below it. */
export function provideTandem(client: Tandem): void {
  provide(KEY, client);
}

/** The same for an app: `app.use(tandemPlugin(client))`. */
export const tandemPlugin = (client: Tandem): Plugin => ({ install: (app) => void app.provide(KEY, client) });

/** The client. */
export function useTandem(): Tandem {
  const client = inject(KEY, null);
  if (!client) throw new Error('Nobody has provided a tandem client; see provideTandem.');
  return client;
}

/** The name of who is logged in; null for nobody. */
export function useUser(): Readonly<ShallowRef<string | null>> {
  const tandem = useTandem();
  const user = shallowRef(tandem.user);
  onScopeDispose(tandem.onUser(() => (user.value = tandem.user)));
  return user;
}

interface Followed<C> {
  handle: Readonly<ShallowRef<C>>;
  snapshot: Readonly<ShallowRef<Snapshot>>;
}

/** Follows what get gives, and something else when it gives something else. */
function follow<C extends Conversation>(get: (tandem: Tandem) => C): Followed<C> {
  const tandem = useTandem();
  const user = useUser();
  const find = () => (void user.value, get(tandem)); // somebody else has conversations of their own
  const handle = shallowRef(find()) as ShallowRef<C>;
  const snapshot = shallowRef(handle.value.getSnapshot());
  let off = () => {};
  watch(
    find,
    (c) => {
      off();
      handle.value = c;
      snapshot.value = c.getSnapshot();
      off = c.subscribe(() => (snapshot.value = c.getSnapshot()));
    },
    { immediate: true, flush: 'sync' },
  );
  onScopeDispose(() => off());
  return { handle, snapshot };
}

/** What a component gets of a room or a private conversation. */
export interface Opened<C> {
  messages: ComputedRef<Message[]>;
  loading: ComputedRef<boolean>;
  hasEarlier: ComputedRef<boolean>;
  error: ComputedRef<Snapshot['error']>;
  send: (message: string, options?: { reply_to?: number }) => Outgoing;
  loadEarlier: () => Promise<void>;
  handle: Readonly<ShallowRef<C>>;
}

function opened<C extends Conversation>({ handle, snapshot }: Followed<C>): Opened<C> {
  return {
    messages: computed(() => snapshot.value.messages),
    loading: computed(() => snapshot.value.loading),
    hasEarlier: computed(() => snapshot.value.hasEarlier),
    error: computed(() => snapshot.value.error),
    send: (...args) => handle.value.send(...args),
    loadEarlier: () => handle.value.loadEarlier(),
    handle,
  };
}

const room = (name: MaybeRefOrGetter<string>) => follow((tandem) => tandem.room(toValue(name)));

/** A room, followed while the component lives. enter: make the user a member, and the room where there is none. */
export function useRoom(
  name: MaybeRefOrGetter<string>,
  options: { enter?: boolean } = {},
): Opened<RoomHandle> & { typing: () => void } {
  const followed = room(name);
  if (options.enter) watch(followed.handle, (r) => void r.enter().catch(() => {}), { immediate: true });
  return { ...opened(followed), typing: () => followed.handle.value.typing() };
}

/** The messages of a room. */
export function useMessages(name: MaybeRefOrGetter<string>): ComputedRef<Message[]> {
  const { snapshot } = room(name);
  return computed(() => snapshot.value.messages);
}

/** Who is in a room now. The server names the first 500 and counts all. */
export function usePresence(name: MaybeRefOrGetter<string>): {
  users: ComputedRef<string[]>;
  count: ComputedRef<number>;
} {
  const { snapshot } = room(name);
  return { users: computed(() => snapshot.value.users), count: computed(() => snapshot.value.count) };
}

/** Who is writing in a room now, the user left out. */
export function useTyping(name: MaybeRefOrGetter<string>): ComputedRef<string[]> {
  const { snapshot } = room(name);
  return computed(() => snapshot.value.typing);
}

/** The conversation with one person. */
export function usePrivate(username: MaybeRefOrGetter<string>): Opened<PrivateHandle> {
  return opened(follow((tandem) => tandem.private(toValue(username))));
}

/** Calls fn with every event of the stream, which is open while the component lives. */
export function useEvents(fn: (event: TandemEvent) => void): void {
  onScopeDispose(useTandem().onEvent(fn));
}

/** How the connection is, and a way to force a transport. */
export function useConnection(): {
  status: Readonly<ShallowRef<Status>>;
  use: (transport: Transport | 'auto') => void;
} {
  const tandem = useTandem();
  const status = shallowRef(tandem.status);
  onScopeDispose(tandem.onStatus(() => (status.value = tandem.status)));
  return { status, use: (transport) => tandem.use(transport) };
}
