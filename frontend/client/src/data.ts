// The types of the data in an app's messages, profiles and custom events. Declare them once, by declaration merging:
//
//   declare module '@tandem/client' {
//     interface TandemData {
//       message: { ticket: number };
//       user: { team: string };
//       events: { 'cursor.moved': { x: number; y: number } };
//     }
//   }

/** What an app declares; any JSON by default. */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type
export interface TandemData {}

type AnyData = Record<string, unknown>;
type Declared<K extends string> = TandemData extends Record<K, infer T> ? T : AnyData;

/** The `data` of a message. */
export type MessageData = Declared<'message'>;
/** The `data` of a user's profile. */
export type UserData = Declared<'user'>;

type Events = TandemData extends Record<'events', infer E> ? E : Record<string, AnyData | undefined>;

/** The names of the custom events. */
export type EventName = Extract<keyof Events, string>;
/** The `data` of a custom event. */
export type EventData<N extends EventName> = Events[N];

/** A custom event. An ephemeral one has no `id`. */
export type CustomEventOf<N extends EventName = EventName> = {
  [K in N]: {
    type: 'custom_event';
    id?: number;
    /** The room; one between two users has a `target` instead. */
    room?: string;
    target?: string;
    user: string;
    name: K;
    data: Events[K];
    sent_at: string;
  };
}[N];
