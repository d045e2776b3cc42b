// Push on this device: the service worker and the subscription. Loaded on demand.
import type { Tandem } from '@tandem/client';
import { HERE } from '../here';
import { KEPT, LANGUAGE } from './language';

const base = new URL(HERE);

/** Subscribes, or confirms an existing subscription. Returns the id of this device. */
export async function startPush(tandem: Tandem): Promise<string> {
  const { serviceWorker } = navigator;
  const registration = await serviceWorker.register(new URL('worker.js', base), { scope: base.pathname });
  await serviceWorker.ready;
  return tandem.push.subscribe(registration);
}

/** Unsubscribes this device, and removes its notifications. */
export async function stopPush(tandem: Tandem): Promise<void> {
  const registration = await navigator.serviceWorker.getRegistration(base);
  if (registration) await tandem.push.unsubscribe(registration);
}

/** Removes the notifications that are shown, since the user now sees the app. */
export async function takeBack(): Promise<void> {
  const registration = await navigator.serviceWorker.getRegistration(base);
  for (const shown of (await registration?.getNotifications()) ?? []) shown.close();
}

export async function tellLanguage(language: string): Promise<void> {
  await (await caches.open(KEPT)).put(LANGUAGE, new Response(language));
}
