// Composables for Vue 3. Thin: the stores are in the core.
import {
  computed,
  getCurrentInstance,
  inject,
  onMounted,
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
import type { Conversation, Snapshot } from './conversation.js';
import type { CustomEventOf, EventName } from './data.js';
import type { FileOptions } from './files.js';
import type { LiveValue } from './live.js';
import type { Message } from './message.js';
import type { Profile, TandemEvent } from './events.js';
import type { Outgoing, SendOptions } from './outbox.js';
import type { PrivateHandle, RoomHandle, ThreadHandle } from './rooms.js';
import { CONNECTING, type Status } from './status.js';
import type { Transport } from './transports.js';

const KEY: InjectionKey<Tandem> = Symbol('tandem');

// A server-rendered page shows the initial state. Nothing is disposed there, so nothing may be subscribed to.
const onServer = typeof window === 'undefined';

/** Returns what get returns, updated when it changes. A server-rendered page starts with first. */
function watched<T>(subscribe: (fn: () => void) => () => void, get: () => T, first: T): ShallowRef<T> {
  const instance = getCurrentInstance();
  // A component that takes over what the server rendered has its element before its setup.
  const hydrates = !!instance?.vnode.el && !instance.isMounted;
  const now = shallowRef(onServer || hydrates ? first : get()) as ShallowRef<T>;
  if (onServer) return now;
  const look = () => (now.value = get());
  if (hydrates) onMounted(look);
  onScopeDispose(subscribe(look));
  return now;
}

/** Provides the client to this component and all below it. */
export function provideTandem(client: Tandem): void {
  provide(KEY, client);
}

/** The same for an app: `app.use(tandemPlugin(client))`. */
export const tandemPlugin = (client: Tandem): Plugin => ({ install: (app) => void app.provide(KEY, client) });

/** Returns the client. */
export function useTandem(): Tandem {
  const client = inject(KEY, null);
  if (!client) throw new Error('Nobody has provided a tandem client; see provideTandem.');
  return client;
}

/** Returns the name of the logged-in user; null for nobody. */
export function useUser(): Readonly<ShallowRef<string | null>> {
  const tandem = useTandem();
  return watched(
    (fn) => tandem.onUser(fn),
    () => tandem.user,
    null,
  );
}

interface Followed<C> {
  handle: Readonly<ShallowRef<C>>;
  snapshot: Readonly<ShallowRef<Snapshot>>;
}

/** Runs effect for what get returns, and again when that changes; effect's result ends it. */
function during<T>(get: () => T, effect: (value: T) => () => void): void {
  if (onServer) return;
  let off = () => {};
  watch(
    get,
    (value) => {
      off();
      off = effect(value);
    },
    { immediate: true, flush: 'sync' },
  );
  onScopeDispose(() => off());
}

/** Follows what get returns, and the new value when that changes. */
function follow<C extends Conversation>(get: (tandem: Tandem) => C): Followed<C> {
  const tandem = useTandem();
  const user = useUser();
  const find = () => (void user.value, get(tandem)); // another user has different conversations
  const handle = shallowRef(find()) as ShallowRef<C>;
  const snapshot = shallowRef(handle.value.getSnapshot());
  during(find, (c) => {
    handle.value = c;
    snapshot.value = c.getSnapshot();
    return c.subscribe(() => (snapshot.value = c.getSnapshot()));
  });
  return { handle, snapshot };
}

/** What a component gets for a room or a private conversation. */
export interface Opened<C> {
  messages: ComputedRef<Message[]>;
  loading: ComputedRef<boolean>;
  hasEarlier: ComputedRef<boolean>;
  error: ComputedRef<Snapshot['error']>;
  send: (message: string, options?: SendOptions) => Outgoing;
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

/** Returns a room, followed while the component lives. enter: make the user a member, and create the room if needed. */
export function useRoom(
  name: MaybeRefOrGetter<string>,
  options: { enter?: boolean } = {},
): Opened<RoomHandle> & { typing: () => void } {
  const followed = room(name);
  if (options.enter && !onServer) watch(followed.handle, (r) => void r.enter().catch(() => {}), { immediate: true });
  return { ...opened(followed), typing: () => followed.handle.value.typing() };
}

/** Returns a room's messages. */
export function useMessages(name: MaybeRefOrGetter<string>): ComputedRef<Message[]> {
  const { snapshot } = room(name);
  return computed(() => snapshot.value.messages);
}

/** Returns who is in a room now. The server names the first 500 and counts all. */
export function usePresence(name: MaybeRefOrGetter<string>): {
  users: ComputedRef<string[]>;
  count: ComputedRef<number>;
} {
  const { snapshot } = room(name);
  return { users: computed(() => snapshot.value.users), count: computed(() => snapshot.value.count) };
}

/** Returns who is typing in a room, except the current user. */
export function useTyping(name: MaybeRefOrGetter<string>): ComputedRef<string[]> {
  const { snapshot } = room(name);
  return computed(() => snapshot.value.typing);
}

/** Returns the conversation with a user. */
export function usePrivate(username: MaybeRefOrGetter<string>): Opened<PrivateHandle> {
  return opened(follow((tandem) => tandem.private(toValue(username))));
}

/** A room by its name, or the `handle` from a composable. */
export type Place = MaybeRefOrGetter<string | RoomHandle | PrivateHandle>;

function find(tandem: Tandem, place: Place): RoomHandle | PrivateHandle {
  const it = toValue(place);
  return typeof it === 'string' ? tandem.room(it) : it;
}

/** Returns a message's thread: the message as `first`, and the replies. */
export function useThread(
  place: Place,
  id: MaybeRefOrGetter<number>,
): Opened<ThreadHandle> & { first: ComputedRef<Message | undefined> } {
  const followed = follow((tandem) => find(tandem, place).thread(toValue(id)));
  const first = computed(() => (void followed.snapshot.value, followed.handle.value.first));
  return { ...opened(followed), first };
}

/** The same, also when another user logs in. */
function ofUser<T>(get: (tandem: Tandem) => T, effect: (value: T) => () => void): void {
  const tandem = useTandem();
  const user = useUser();
  during(() => (void user.value, get(tandem)), effect);
}

function live<T>(get: (tandem: Tandem) => LiveValue<T>, otherwise: T): Readonly<ShallowRef<T>> {
  const now = shallowRef(otherwise) as ShallowRef<T>;
  ofUser(get, (value) => {
    const tell = () => (now.value = value.getSnapshot() ?? otherwise);
    tell();
    return value.subscribe(tell);
  });
  return now;
}

/** Returns the pinned messages. */
export function usePins(place: Place): Readonly<ShallowRef<Message[]>> {
  return live((tandem) => find(tandem, place).pins, []);
}

/** Returns how far the others have read, by name, where receipts are on. */
export function useSeen(place: Place): Readonly<ShallowRef<Readonly<Record<string, number>>>> {
  return live((tandem) => find(tandem, place).seen, {});
}

/** Calls fn with custom events of a name, or with all (`'*'`), while the component lives. */
export function useCustomEvent<N extends EventName>(
  place: Place,
  name: N | '*',
  fn: (event: CustomEventOf<N>) => void,
): void {
  ofUser(
    (tandem) => find(tandem, place),
    (handle) => handle.on(name, fn),
  );
}

/** Returns a user's profile; at first only the name. All profiles on a screen are fetched in one call. */
export function usePerson(username: MaybeRefOrGetter<string>): ComputedRef<Profile> {
  const all = usePeople(() => [toValue(username)]);
  return computed(() => all.value[0]!);
}

/** The same for several users. */
export function usePeople(usernames: MaybeRefOrGetter<readonly string[]>): ComputedRef<Profile[]> {
  const { people } = useTandem();
  const look = onServer ? people.known : (username: string) => people.peek(username);
  const news = shallowRef(0);
  if (!onServer) onScopeDispose(people.subscribe(() => void news.value++));
  return computed(() => (void news.value, toValue(usernames).map((username) => look(username))));
}

/** Returns a URL for `<img>` and players; undefined until it is known. */
export function useFileLink(
  id: MaybeRefOrGetter<string | undefined>,
  options: FileOptions = {},
): Readonly<ShallowRef<string | undefined>> {
  const { files } = useTandem();
  const link = shallowRef<string>();
  watch(
    () => toValue(id),
    (now, _, cleanup) => {
      link.value = undefined;
      if (now && !onServer) cleanup(files.follow(now, options, (url) => (link.value = url)));
    },
    { immediate: true },
  );
  return link;
}

/** Calls fn with every event of the stream, which is open while the component lives. */
export function useEvents(fn: (event: TandemEvent) => void): void {
  const tandem = useTandem();
  if (!onServer) onScopeDispose(tandem.onEvent(fn));
}

/** Returns the state of the connection, and a way to force a transport. */
export function useConnection(): {
  status: Readonly<ShallowRef<Status>>;
  use: (transport: Transport | 'auto') => void;
} {
  const tandem = useTandem();
  const status = watched(tandem.onStatus, () => tandem.status, CONNECTING);
  return { status, use: (transport) => tandem.use(transport) };
}
