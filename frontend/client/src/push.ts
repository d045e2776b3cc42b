// Web Push notifications in this browser while no page of the app is open. Loaded on demand; imports from the core
// would split the core.
import type { Tandem } from './client.js';

/** This browser's id among the user's devices, kept in localStorage. */
function device(registration: ServiceWorkerRegistration): string {
  const key = `tandem.device:${registration.scope}`;
  const id = localStorage.getItem(key) ?? `web-${crypto.randomUUID()}`;
  localStorage.setItem(key, id);
  return id;
}

const base64url = (bytes: ArrayBuffer) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');

export async function subscribe(tandem: Tandem, registration: ServiceWorkerRegistration): Promise<string> {
  const { key, kinds } = await tandem.request('GET', '/v1/push/key');
  if (!kinds.includes('webpush')) throw new DOMException('The server has no Web Push.', 'NotSupportedError');
  const { pushManager } = registration;
  let subscription = await pushManager.getSubscription();
  const made = subscription?.options.applicationServerKey;
  if (made && base64url(made) !== key) {
    // From another server at this address, whose key push services do not accept from this one.
    await subscription!.unsubscribe();
    subscription = null;
  }
  subscription ??= await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  const id = device(registration);
  const { endpoint, keys } = subscription.toJSON() as { endpoint: string; keys: { p256dh: string; auth: string } };
  await tandem.request('PUT', '/v1/me/push/{id}', { path: { id }, body: { kind: 'webpush', endpoint, keys } });
  return id;
}

export async function unsubscribe(tandem: Tandem, registration: ServiceWorkerRegistration): Promise<void> {
  await (await registration.pushManager.getSubscription())?.unsubscribe();
  for (const shown of await registration.getNotifications()) shown.close();
  // Without a login, the session's end has removed it.
  if (await tandem.token()) await tandem.request('DELETE', '/v1/me/push/{id}', { path: { id: device(registration) } });
}
