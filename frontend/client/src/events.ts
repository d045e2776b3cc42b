// The events of the stream. Their types are generated from openapi.yaml.
import type { components } from './openapi.js';

type Schemas = components['schemas'];

/** One event of a stream, told apart by `type`. */
export type TandemEvent = Schemas['Event'];
export type EventType = TandemEvent['type'];
/** The event of one type: `EventOf<'chat_message'>`. */
export type EventOf<T extends EventType> = Extract<TandemEvent, { type: T }>;

export type ChatMessage = Schemas['ChatMessage'];
export type Room = Schemas['Room'];
export type User = Schemas['User'];
export type Session = Schemas['Session'];
export type Problem = Schemas['Problem'];
