// Who is meant by a message.
import type { EventOf, TandemEvent } from '@tandem/client';

/** Whether an event is a message from another user that mentions this user. */
export function mentions(event: TandemEvent, me: string): event is EventOf<'chat_message'> {
  if (event.type !== 'chat_message' || event.user === me || event.deleted) return false;
  return !!event.mentions_all || !!event.mentions?.includes(me);
}
