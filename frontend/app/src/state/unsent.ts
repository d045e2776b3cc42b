// Unsent messages. After a reload they are sent with their nonces, so each is posted once.
import type { Outgoing, PrivateHandle, RoomHandle, Tandem, TandemFile } from '@tandem/client';
import { onScopeDispose } from 'vue';
import { session } from './storage';

interface Kept {
  to: 'room' | 'private';
  name: string;
  message: string;
  reply_to?: number;
  thread?: number;
  /** Uploaded files; files that have not been uploaded are lost with the page. */
  files?: TandemFile[];
  nonce: string;
}

export function createUnsent(tandem: Tandem, user: string) {
  const key = `tandem.unsent:${user}`;
  let all: { to: Kept['to']; name: string; item: Outgoing }[] = [];

  function write(): void {
    // Refused messages can be retried, and the others when their user logs in again.
    all = all.filter(({ item }) => item.state !== 'sent' && item.error?.code !== 'discarded');
    const kept = all
      .filter(({ item }) => item.uploads.every(({ file }) => file))
      .map(({ to, name, item: { message, body, uploads, nonce } }): Kept => {
        const files = uploads.map(({ file }) => file!);
        return { to, name, message, reply_to: body.reply_to, thread: body.thread, files, nonce };
      });
    session.set(key, kept.length ? JSON.stringify(kept) : null);
  }

  type Handle = Pick<RoomHandle | PrivateHandle, 'name' | 'where'>;
  function keep(handle: Handle, item: Outgoing): void {
    all.push({ to: 'room' in handle.where ? 'room' : 'private', name: handle.name, item });
    write();
    item.sent().then(write, write);
  }

  for (const { to, name, message, ...options } of JSON.parse(session.get(key) ?? '[]') as Kept[]) {
    const handle = tandem[to](name);
    keep(handle, handle.send(message, options));
  }
  addEventListener('pagehide', write); // a retry may have sent some
  const uploading = (event: BeforeUnloadEvent) =>
    all.some(({ item }) => item.state === 'uploading') && event.preventDefault();
  addEventListener('beforeunload', uploading);
  onScopeDispose(() => {
    removeEventListener('pagehide', write);
    removeEventListener('beforeunload', uploading);
  });

  return {
    keep,
    forget(): void {
      all = [];
      write();
    },
  };
}
