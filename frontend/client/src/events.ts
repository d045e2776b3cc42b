// The events of the stream. Their types are generated from openapi.yaml.
import type { components } from './openapi.js';

type Schemas = components['schemas'];
type Described = Schemas['Event'];

/** What the protocol has and the description does not have yet; a type that is described there wins. */
type Announced =
  | {
      type: 'message_edited';
      id: number;
      room?: string;
      message_id: number;
      user: string;
      target?: string;
      message: string;
      sent_at: string;
    }
  | {
      type: 'message_deleted';
      id: number;
      room?: string;
      message_id: number;
      user: string;
      target?: string;
      sent_at: string;
    }
  | {
      type: 'reaction_added';
      id: number;
      room: string;
      message_id: number;
      user: string;
      emoji: string;
      sent_at: string;
    }
  | {
      type: 'reaction_removed';
      id: number;
      room: string;
      message_id: number;
      user: string;
      emoji: string;
      sent_at: string;
    }
  | {
      type: 'private_message';
      id: number;
      user: string;
      target: string;
      message: string;
      sent_at: string;
      nonce?: string;
    }
  | {
      type: 'private_message_delivered';
      id: number;
      message_id: number;
      user: string;
      target: string;
      message: string;
      sent_at: string;
      nonce?: string;
    }
  | {
      type: 'room_updated';
      id: number;
      room: string;
      user: string;
      title: string;
      visibility: string;
      posting: string;
      sent_at: string;
    }
  | { type: 'room_deleted'; id: number; room: string; user: string; sent_at: string }
  | { type: 'member_removed'; id: number; room: string; user: string; target: string; sent_at: string }
  | { type: 'user_typing'; room: string; user: string }
  | { type: 'message_read'; room?: string; user?: string; message_id: number };

/** One event of a stream, told apart by `type`. */
export type TandemEvent = Described | Exclude<Announced, { type: Described['type'] }>;
export type EventType = TandemEvent['type'];
/** The event of one type: `EventOf<'chat_message'>`. */
export type EventOf<T extends EventType> = Extract<TandemEvent, { type: T }>;

export type ChatMessage = Schemas['ChatMessage'];
export type Room = Schemas['Room'];
export type User = Schemas['User'];
export type Session = Schemas['Session'];
export type Problem = Schemas['Problem'];
