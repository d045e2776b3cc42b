// Messages for display, made from history and stream.
import type { MessageData } from './data.js';
import type { Replies, TandemFile } from './events.js';
import type { Outgoing, Posted } from './outbox.js';
import type { Upload } from './uploads.js';

export interface Reaction {
  emoji: string;
  count: number;
  /** Whether the user is among them. */
  me: boolean;
  /** The first of them. */
  users: string[];
}

/** The content of a message. */
interface Content {
  message: string;
  /** The app's data. */
  data?: MessageData;
  files?: TandemFile[];
  /** Mentioned users. */
  mentions?: string[];
  /** Everyone who can read it is mentioned. */
  mentions_all?: boolean;
  /** What a before-post hook said about it. */
  marks?: string[];
  reply_to?: number;
  edited_at?: string;
  deleted?: boolean;
}

/** A message for display. */
export interface Message extends Content {
  /** Stays the same when the message arrives: use it as a list key. */
  key: string;
  /** Missing while it is being sent. */
  id?: number;
  user: string;
  /** It came from an inlet, not a user; `user` is the inlet's name with `[bot]`. */
  via?: 'inlet';
  sent_at: string;
  /** The first message of its thread. */
  thread?: number;
  /** A summary of the thread that starts with it. */
  replies?: Replies;
  reactions: Reaction[];
  /** While it is being sent: `uploading`, `queued` and `sending`; `failed` if it was refused: see `outgoing`. */
  state: Outgoing['state'];
  /** While it is being sent: to retry or discard it. */
  outgoing?: Outgoing;
  /** While it is being sent: the progress of its files. */
  uploads?: readonly Upload[];
}

/** A message as the server sends it. */
export interface Item extends Posted, Content {
  user: string;
  via?: 'inlet';
  sent_at: string;
  reactions?: Reaction[];
  /** In a thread, its first message; for that message, in history, a summary of the thread. */
  thread?: number | Replies;
}

export function shown(item: Item, key = String(item.id)): Message {
  const { id, user, via, message, data, files, mentions, mentions_all, marks, sent_at, reply_to, edited_at, deleted } =
    item;
  const content = { message, data, files, mentions, mentions_all, marks, reply_to, edited_at, deleted };
  const thread = typeof item.thread === 'number' ? { thread: item.thread } : { replies: item.thread };
  return { key, id, user, via, sent_at, ...content, ...thread, reactions: item.reactions ?? [], state: 'sent' };
}

/** A message that is not in the log yet. */
export const underway = (outgoing: Outgoing<Item>, user: string | null): Message => ({
  key: outgoing.nonce,
  user: user ?? '',
  message: outgoing.message,
  data: outgoing.body.data,
  sent_at: outgoing.sent_at,
  reply_to: outgoing.reply_to,
  thread: outgoing.body.thread,
  reactions: [],
  state: outgoing.state,
  outgoing,
  uploads: outgoing.uploads,
});

/** What may change while it is being sent. */
export const stateOf = ({ nonce, state, error, uploads }: Outgoing<Item>): string =>
  [nonce, state, error?.code, ...uploads.flatMap((u) => [u.name, u.sent, u.state, u.error?.code])].join();

/** Nothing of it is left. */
export const DELETED = {
  message: '',
  data: undefined,
  files: undefined,
  mentions: undefined,
  mentions_all: undefined,
  marks: undefined,
  deleted: true,
  reactions: [],
};

/** A thread's summary with one more message. Applying it twice changes nothing more. */
export function withReply(replies: Replies | undefined, { id, user }: Item): Replies {
  const { count, last_id, users } = replies ?? { count: 0, last_id: 0, users: [] };
  if (id <= last_id) return replies!;
  return { count: count + 1, last_id: id, users: [user, ...users.filter((u) => u !== user)].slice(0, 5) };
}

/** The reactions to a message after a user has added or removed one. */
export function reacted(
  reactions: Reaction[],
  { type, user, emoji }: { type: string; user: string; emoji: string },
  me: string | null,
): Reaction[] {
  const mine = user === me;
  const old = reactions.find((r) => r.emoji === emoji) ?? { emoji, count: 0, me: false, users: [] };
  // The server names the first 20: of the others only a removal says that they were there.
  const unnamed = mine ? old.me : type === 'reaction_removed' && old.count > old.users.length;
  const there = old.users.includes(user) || unnamed;
  if (there === (type === 'reaction_added')) return reactions;
  const users = there ? old.users.filter((u) => u !== user) : [...old.users, user];
  const now = { emoji, users, me: mine ? !there : old.me, count: old.count + (there ? -1 : 1) };
  if (old.count === 0) return [...reactions, now];
  return reactions.map((r) => (r === old ? now : r)).filter((r) => r.count > 0);
}
