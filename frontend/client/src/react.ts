// Hooks for React 18 and later. Thin: the stores are in the core.
import {
  createContext,
  createElement,
  useContext,
  useEffect,
  useMemo,
  useSyncExternalStore,
  type ReactNode,
} from 'react';
import type { Tandem } from './client.js';
import type { Conversation, Message, PrivateHandle, RoomHandle, Snapshot } from './conversation.js';
import type { Outgoing } from './outbox.js';
import type { Status } from './stream.js';
import type { Transport } from './transports.js';

const Context = createContext<Tandem | null>(null);

/** Gives the client to the hooks below it. */
export function TandemProvider({ client, children }: { client: Tandem; children?: ReactNode }) {
  return createElement(Context.Provider, { value: client }, children);
}

/** The client. */
export function useTandem(): Tandem {
  const client = useContext(Context);
  if (!client) throw new Error('There is no TandemProvider above.');
  return client;
}

/** The name of who is logged in; null for nobody. */
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

/** What a component gets of a room or a private conversation. */
export type Opened<C> = Pick<Snapshot, 'loading' | 'hasEarlier' | 'error'> & {
  messages: Message[];
  send: (message: string, options?: { reply_to?: number }) => Outgoing;
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
  useUser(); // somebody else has rooms of their own
  return tandem.room(name);
}

/** A room, followed while the component is shown. enter: make the user a member, and the room where there is none. */
export function useRoom(name: string, options: { enter?: boolean } = {}): Opened<RoomHandle> & { typing: () => void } {
  const room = useRoomHandle(name);
  const opened = useOpened(room);
  const { enter } = options;
  useEffect(() => {
    if (enter) room.enter().catch(() => {}); // that it failed is the room's error
  }, [room, enter]);
  return useMemo(() => ({ ...opened, typing: room.typing.bind(room) }), [opened, room]);
}

/** The messages of a room. */
export function useMessages(room: string): Message[] {
  return useSnapshot(useRoomHandle(room), (s) => s.messages);
}

/** Who is in a room now. The server names the first 500 and counts all. */
export function usePresence(room: string): Pick<Snapshot, 'users' | 'count'> {
  const handle = useRoomHandle(room);
  const users = useSnapshot(handle, (s) => s.users);
  const count = useSnapshot(handle, (s) => s.count);
  return useMemo(() => ({ users, count }), [users, count]);
}

/** Who is writing in a room now, the user left out. */
export function useTyping(room: string): string[] {
  return useSnapshot(useRoomHandle(room), (s) => s.typing);
}

/** The conversation with one person. */
export function usePrivate(username: string): Opened<PrivateHandle> {
  const tandem = useTandem();
  useUser();
  return useOpened(tandem.private(username));
}

/** How the connection is, and a way to force a transport. */
export function useConnection(): Status & { use: (transport: Transport | 'auto') => void } {
  const tandem = useTandem();
  const get = () => tandem.status;
  const status = useSyncExternalStore(tandem.onStatus, get, get);
  return useMemo(() => ({ ...status, use: tandem.use.bind(tandem) }), [status, tandem]);
}
