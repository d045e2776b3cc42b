// Messages that have not got out. What a reload finds here goes out after it, under the nonces that it had, so once.
import type { Outgoing, PrivateHandle, RoomHandle, Tandem } from '@tandem/client';
import { onScopeDispose } from 'vue';
import { session } from './storage';

interface Kept {
  to: 'room' | 'private';
  name: string;
  message: string;
  reply_to?: number;
  nonce: string;
}

export function createUnsent(tandem: Tandem, user: string) {
  const key = `tandem.unsent:${user}`;
  let all: { to: Kept['to']; name: string; item: Outgoing }[] = [];

  function write(): void {
    // What was refused may be tried again; what nobody is logged in for any more, when they are.
    all = all.filter(({ item }) => item.state !== 'sent' && item.error?.code !== 'discarded');
    const kept = all.map(({ to, name, item: { message, reply_to, nonce } }): Kept => ({
      to,
      name,
      message,
      reply_to,
      nonce,
    }));
    session.set(key, kept.length ? JSON.stringify(kept) : null);
  }

  function keep(handle: RoomHandle | PrivateHandle, item: Outgoing): void {
    all.push({ to: 'react' in handle ? 'room' : 'private', name: handle.name, item });
    write();
    item.sent().then(write, write);
  }

  for (const { to, name, message, reply_to, nonce } of JSON.parse(session.get(key) ?? '[]') as Kept[]) {
    const handle = tandem[to](name);
    keep(handle, handle.send(message, { reply_to, nonce }));
  }
  addEventListener('pagehide', write); // what was tried again has been sent, perhaps
  onScopeDispose(() => removeEventListener('pagehide', write));

  return {
    keep,
    forget(): void {
      all = [];
      write();
    },
  };
}
