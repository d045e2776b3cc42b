export { createClient, Tandem, type ClientOptions } from './client.js';
export type { Conversation, Snapshot } from './conversation.js';
export type { EmitOptions } from './custom.js';
export * from './data.js'; // whole: only then can an app declare what TandemData has
export type {
  ChatMessage,
  EventOf,
  EventType,
  Problem,
  Profile,
  Replies,
  Room,
  Session,
  TandemEvent,
  TandemFile,
  User,
} from './events.js';
export type { FileOptions, Files } from './files.js';
export type { LiveValue } from './live.js';
export type { Message, Reaction } from './message.js';
export type { components, paths } from './openapi.js';
export type { Outgoing, SendOptions } from './outbox.js';
export type { People } from './people.js';
export { TandemError } from './problem.js';
export type { Answer, Method, RequestOptions } from './rest.js';
export type { NotifyLevel, PrivateHandle, RoomHandle, ThreadHandle } from './rooms.js';
export { memoryStore, type SessionStore, type StoredSession } from './session.js';
export type { State, Status, StreamOptions, Timing } from './status.js';
export type { Stream } from './stream.js';
export type { Transport } from './transports.js';
export type { Source, Upload } from './uploads.js';
export type { Unsubscribe } from './wait.js';
