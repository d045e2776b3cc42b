// The service worker: shows notifications while no page of the app is visible. It caches nothing of the app.
import { handlePush } from '@tandem/client/worker';
import { notify as en } from './locales/en.json';
import { notify as ru } from './locales/ru.json';
import { notify as zh } from './locales/zh.json';
import { KEPT, LANGUAGE } from './state/language';

const WORDS: Record<string, typeof en> = { en, ru, zh };

/** The language last chosen on this device. */
async function words(): Promise<typeof en> {
  const chosen = await (await caches.open(KEPT)).match(LANGUAGE);
  return WORDS[(await chosen?.text()) ?? ''] ?? en;
}

// A new worker can take over at once: the old one has nothing to finish.
addEventListener('install', () => void (globalThis as unknown as { skipWaiting(): Promise<void> }).skipWaiting());

handlePush({
  async show({ room, user = '', text, unread }) {
    const { from, hidden } = await words();
    const title = room === undefined ? user : from.replace('{name}', user).replace('{room}', room);
    return { title: unread > 1 ? `${title} (${unread})` : title, body: text ?? hidden, icon: 'icon-192.png' };
  },
  open({ room, user = '', message_id }) {
    const at = room === undefined ? `private/${encodeURIComponent(user)}` : `rooms/${encodeURIComponent(room)}`;
    return new URL(`./#/${at}${room === undefined ? '' : `?at=${message_id}`}`, location.href).href;
  },
  // The API reference at /docs is not a page of the app.
  isApp: ({ pathname }) => pathname === new URL('./', location.href).pathname,
});
