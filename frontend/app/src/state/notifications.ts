// Notifications while no tab of the app is visible, and the number on the app's icon. They come by push if this device
// is subscribed, and otherwise from the tabs, once for all of them.
import { TandemError, type NotifyLevel, type Tandem, type TandemEvent } from '@tandem/client';
import { onScopeDispose, ref, watch, type Ref } from 'vue';
import { useI18n } from 'petite-vue-i18n';
import type { RouteLocationRaw, Router } from 'vue-router';
import { HERE } from '../here';
import { toMessage, toPerson } from '../router';
import { mentions } from './mentions';
import { local } from './storage';

const TOLD = 60_000; // ms for which tabs remember what was notified
const LONGEST = 200; // characters of a message

interface Levels {
  room: (name: string) => NotifyLevel;
  person: (name: string) => NotifyLevel;
}

export function createNotifications(tandem: Tandem, user: string, router: Router, levels: Levels, badge: Ref<number>) {
  const { t, locale } = useI18n();
  const key = `tandem.notify:${user}`;
  const supported = 'Notification' in globalThis && 'locks' in navigator; // not over plain HTTP
  const choice = ref(local.get(key));
  const permission = ref(supported ? Notification.permission : 'denied');
  /** Something has arrived while the user was away, and they have not been asked yet: now they see the use of it. */
  const asking = ref(false);
  const missed = ref(false);
  const shown = new Set<Notification>();

  const pushes = supported && 'serviceWorker' in navigator && 'PushManager' in globalThis;
  /** The id of this device if it receives push: its tabs then show nothing. */
  const pushed = ref(local.get(`${key}:push`));
  const push = () => import('./push');
  function setPushed(id: string | null): void {
    pushed.value = id;
    local.set(`${key}:push`, id);
  }
  const wanted = () => choice.value === 'on' && Notification.permission === 'granted';
  async function startPush(): Promise<void> {
    if (!pushes || !wanted()) return;
    try {
      const { startPush, tellLanguage } = await push();
      setPushed(await startPush(tandem));
      await tellLanguage(locale.value);
    } catch (error) {
      // If the server cannot be reached, nothing changes. Without a push service, tabs show what they can.
      if (!(error instanceof TandemError) || error.final) setPushed(null);
    }
  }
  watch(locale, (now) => pushed.value && void push().then(({ tellLanguage }) => tellLanguage(now)));
  // From the service worker, when a notification is pressed.
  function pressed({ data }: MessageEvent<{ type?: string; url?: string } | undefined>): void {
    if (data?.type === 'tandem.open') void router.push(new URL(data.url!).hash.slice(1));
  }
  if (pushes) navigator.serviceWorker.addEventListener('message', pressed);

  // Each visible tab holds this lock.
  const visible = `tandem.visible:${HERE}:${user}`;
  let release = () => {};
  function look(): void {
    release();
    if (document.hidden || !supported) return;
    void navigator.locks.request(visible, { mode: 'shared' }, () => new Promise<void>((done) => (release = done)));
    shown.forEach((one) => one.close());
    shown.clear();
    if (pushed.value) void push().then(({ takeBack }) => takeBack());
    if (missed.value && permission.value === 'default' && !choice.value) asking.value = true;
    permission.value = Notification.permission;
  }
  document.addEventListener('visibilitychange', look);
  look();

  /** What to show for an event: author, place and text. */
  function news(event: TandemEvent): { title: string; body: string; to: RouteLocationRaw } | undefined {
    if (event.type === 'private_message') {
      if (event.user === user || event.deleted || levels.person(event.user) === 'none') return;
      return { title: event.user, body: textOf(event), to: toPerson(event.user) };
    }
    if (event.type !== 'chat_message' || event.user === user || event.deleted) return;
    const level = levels.room(event.room);
    if (level === 'none' || (level === 'mentions' && !mentions(event, user))) return;
    const title = t('notify.from', { name: event.user, room: event.room });
    return { title, body: textOf(event), to: toMessage(event) };
  }
  const textOf = ({ message, files }: { message: string; files?: { name: string }[] }) =>
    [...(message || (files ?? []).map((file) => file.name).join(', ') || t('notify.hidden'))]
      .slice(0, LONGEST)
      .join('');

  async function tell(id: number, { title, body, to }: NonNullable<ReturnType<typeof news>>): Promise<void> {
    const { held = [] } = await navigator.locks.query();
    if (held.some((lock) => lock.name === visible)) return;
    // The first tab to get the lock shows it.
    await navigator.locks.request(`tandem.told:${HERE}:${user}:${id}`, { ifAvailable: true }, async (mine) => {
      if (!mine) return;
      try {
        const one = new Notification(title, { body, tag: `tandem-${id}`, icon: 'favicon.svg' });
        shown.add(one);
        one.onclick = () => {
          window.focus();
          void router.push(to);
          one.close();
        };
      } catch {
        return; // pages on phones may not
      }
      await new Promise((next) => setTimeout(next, TOLD));
    });
  }

  function receive(event: TandemEvent): void {
    if (!document.hidden || !supported) return;
    const about = news(event);
    if (!about || !('id' in event) || !event.id) return;
    missed.value = true;
    // Older messages were missed, and are counted elsewhere.
    const recent = 'sent_at' in event && Date.now() - Date.parse(event.sent_at) < TOLD;
    if (recent && !pushed.value && wanted()) void tell(event.id, about);
  }

  /** Ends push on this device too, unless it is on. */
  async function choose(to: 'on' | 'off' | 'later'): Promise<void> {
    choice.value = to;
    local.set(key, to);
    asking.value = false;
    if (to === 'on' || !pushed.value) return;
    const { stopPush } = await push();
    await stopPush(tandem).catch(() => {}); // if the server cannot be reached, the push service will report it
    setPushed(null);
  }
  /** Asks the browser, which asks the user. Must be called on a click. */
  async function turnOn(): Promise<void> {
    permission.value = await Notification.requestPermission();
    await choose(permission.value === 'granted' ? 'on' : 'later');
    await startPush();
  }
  if (supported) void startPush();

  watch(
    badge,
    (count) => {
      if (!('setAppBadge' in navigator)) return;
      (count ? navigator.setAppBadge(count) : navigator.clearAppBadge()).catch(() => {}); // the badge is not essential
    },
    { immediate: true },
  );
  onScopeDispose(() => {
    document.removeEventListener('visibilitychange', look);
    if (pushes) navigator.serviceWorker.removeEventListener('message', pressed);
    release();
    if ('clearAppBadge' in navigator) navigator.clearAppBadge().catch(() => {});
  });

  return { receive, asking, supported, permission, choice, pushed, turnOn, choose };
}
