// Hooks for React 18 and later. Thin: the stores are in the core.
import {
  createContext,
  createElement,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
  type ReactNode,
} from 'react';
import type { Tandem } from './client.js';
import type { Conversation, Snapshot } from './conversation.js';
import type { CustomEventOf, EventName } from './data.js';
import type { Profile } from './events.js';
import type { FileOptions } from './files.js';
import type { LiveValue } from './live.js';
import type { Message } from './message.js';
import type { Outgoing, SendOptions } from './outbox.js';
import type { PrivateHandle, RoomHandle, ThreadHandle } from './rooms.js';
import { CONNECTING, type Status } from './status.js';
import type { Transport } from './transports.js';

const Context = createContext<Tandem | null>(null);

/** Provides the client to the hooks below it. */
export function TandemProvider({ client, children }: { client: Tandem; children?: ReactNode }) {
  return createElement(Context.Provider, { value: client }, children);
}

/** Returns the client. */
export function useTandem(): Tandem {
  const client = useContext(Context);
  if (!client) throw new Error('There is no TandemProvider above.');
  return client;
}

/** Returns the name of the logged-in user; null for nobody. */
export function useUser(): string | null {
  const tandem = useTandem();
  const subscribe = useMemo(() => (fn: () => void) => tandem.onUser(fn), [tandem]);
  return useSyncExternalStore(
    subscribe,
    () => tandem.user,
    () => null,
  );
}

function useSnapshot<T>(c: Conversation, select: (s: Snapshot) => T): T {
  const get = () => select(c.getSnapshot());
  return useSyncExternalStore(c.subscribe, get, get);
}

/** What a component gets for a room or a private conversation. */
export type Opened<C> = Pick<Snapshot, 'loading' | 'hasEarlier' | 'error'> & {
  messages: Message[];
  send: (message: string, options?: SendOptions) => Outgoing;
  loadEarlier: () => Promise<void>;
  handle: C;
};

function useOpened<C extends Conversation>(c: C): Opened<C> {
  const { messages, loading, hasEarlier, error } = useSnapshot(c, (s) => s);
  return useMemo(
    () => ({
      messages,
      loading,
      hasEarlier,
      error,
      handle: c,
      send: c.send.bind(c),
      loadEarlier: c.loadEarlier.bind(c),
    }),
    [c, messages, loading, hasEarlier, error],
  );
}

function useRoomHandle(name: string): RoomHandle {
  const tandem = useTandem();
  useUser(); // another user has different rooms
  return tandem.room(name);
}

/**
 * Returns a room, followed while the component is shown. enter: make the user a member, and create the room if needed.
 */
export function useRoom(name: string, options: { enter?: boolean } = {}): Opened<RoomHandle> & { typing: () => void } {
  const room = useRoomHandle(name);
  const opened = useOpened(room);
  const { enter } = options;
  useEffect(() => {
    if (enter) room.enter().catch(() => {}); // a failure is the room's error
  }, [room, enter]);
  return useMemo(() => ({ ...opened, typing: room.typing.bind(room) }), [opened, room]);
}

/** Returns a room's messages. */
export function useMessages(room: string): Message[] {
  return useSnapshot(useRoomHandle(room), (s) => s.messages);
}

/** Returns who is in a room now. The server names the first 500 and counts all. */
export function usePresence(room: string): Pick<Snapshot, 'users' | 'count'> {
  const handle = useRoomHandle(room);
  const users = useSnapshot(handle, (s) => s.users);
  const count = useSnapshot(handle, (s) => s.count);
  return useMemo(() => ({ users, count }), [users, count]);
}

/** Returns who is typing in a room, except the current user. */
export function useTyping(room: string): string[] {
  return useSnapshot(useRoomHandle(room), (s) => s.typing);
}

/** Returns the conversation with a user. */
export function usePrivate(username: string): Opened<PrivateHandle> {
  const tandem = useTandem();
  useUser();
  return useOpened(tandem.private(username));
}

/** A room by its name, or the `handle` from a hook. */
export type Place = string | RoomHandle | PrivateHandle;

function usePlace(place: Place): RoomHandle | PrivateHandle {
  const tandem = useTandem();
  useUser();
  return typeof place === 'string' ? tandem.room(place) : place;
}

/** Returns a message's thread: the message as `first`, and the replies. */
export function useThread(place: Place, id: number): Opened<ThreadHandle> & { first?: Message } {
  const thread = usePlace(place).thread(id);
  const opened = useOpened(thread);
  const { first } = thread;
  return useMemo(() => ({ ...opened, first }), [opened, first]);
}

function useLive<T>(value: LiveValue<T>, otherwise: T): T {
  return useSyncExternalStore(value.subscribe, value.getSnapshot, value.getSnapshot) ?? otherwise;
}

const NONE: Message[] = [];
const NOBODY = {};

/** Returns the pinned messages. */
export function usePins(place: Place): Message[] {
  return useLive(usePlace(place).pins, NONE);
}

/** Returns how far the others have read, by name, where receipts are on. */
export function useSeen(place: Place): Readonly<Record<string, number>> {
  return useLive(usePlace(place).seen, NOBODY);
}

/** Calls fn with custom events of a name, or with all (`'*'`), while the component is shown. */
export function useCustomEvent<N extends EventName>(
  place: Place,
  name: N | '*',
  fn: (event: CustomEventOf<N>) => void,
): void {
  const handle = usePlace(place);
  const latest = useRef(fn);
  useEffect(() => {
    latest.current = fn;
  });
  useEffect(() => handle.on(name, (event: CustomEventOf<N>) => latest.current(event)), [handle, name]);
}

/** Returns a user's profile; at first only the name. All profiles on a screen are fetched in one call. */
export function usePerson(username: string): Profile {
  const { people } = useTandem();
  const get = () => people.peek(username);
  return useSyncExternalStore(people.subscribe, get, () => people.known(username));
}

/** The same for several users. */
export function usePeople(usernames: readonly string[]): Profile[] {
  const { people } = useTandem();
  const last = useRef<Profile[]>([]);
  const get = (look = (username: string) => people.peek(username)) => {
    const now = usernames.map(look);
    const same = now.length === last.current.length && now.every((profile, i) => profile === last.current[i]);
    return same ? last.current : (last.current = now);
  };
  return useSyncExternalStore(people.subscribe, get, () => get(people.known));
}

/** Returns a URL for `<img>` and players; undefined until it is known. */
export function useFileLink(id: string | undefined, { preview }: FileOptions = {}): string | undefined {
  const tandem = useTandem();
  const [link, setLink] = useState<{ id: string; url: string }>();
  useEffect(() => {
    if (id) return tandem.files.follow(id, { preview }, (url) => setLink({ id, url }));
  }, [tandem, id, preview]);
  return link && link.id === id ? link.url : undefined;
}

/** Returns the state of the connection, and a way to force a transport. */
export function useConnection(): Status & { use: (transport: Transport | 'auto') => void } {
  const tandem = useTandem();
  const status = useSyncExternalStore(
    tandem.onStatus,
    () => tandem.status,
    () => CONNECTING,
  );
  return useMemo(() => ({ ...status, use: tandem.use.bind(tandem) }), [status, tandem]);
}
