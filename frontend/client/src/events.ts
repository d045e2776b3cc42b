// The events of the stream. Their types are generated from openapi.yaml; `data` has the type that the app declares.
import type { CustomEventOf, MessageData, UserData } from './data.js';
import type { components } from './openapi.js';

type Schemas = components['schemas'];

type WithData<E> = E extends { type: 'custom_event' }
  ? CustomEventOf
  : 'data' extends keyof E
    ? Omit<E, 'data'> & { data?: MessageData }
    : E;

/** An event of a stream, distinguished by `type`. A newer server may send others. */
export type TandemEvent = WithData<Schemas['Event']>;
export type EventType = TandemEvent['type'];
/** The event of one type: `EventOf<'chat_message'>`. */
export type EventOf<T extends EventType> = Extract<TandemEvent, { type: T }>;

export type ChatMessage = WithData<Schemas['ChatMessage']>;
export type Room = Schemas['Room'];
export type User = Schemas['User'];
export type Session = Schemas['Session'];
export type Problem = Schemas['Problem'];
/** A file of a message. */
export type TandemFile = Schemas['File'];
/** A summary of a message's thread. */
export type Replies = Schemas['ThreadState'];

/** A user's profile. For an unknown user, only the name. */
export interface Profile {
  username: string;
  display_name?: string;
  /** The id of a picture. */
  avatar?: string;
  data?: UserData;
  /** When it was fetched. */
  online?: boolean;
  last_seen?: string;
}
