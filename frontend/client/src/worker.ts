// For an app's service worker: shows what the server pushes, removes it, and opens the right page.

/** The payload: see docs/push.md. */
export interface PushNews {
  type: 'private_message' | 'chat_message' | 'mention' | 'read';
  /** Absent in a private conversation. */
  room?: string;
  /** The author. */
  user?: string;
  message_id: number;
  /** The first 200 characters; absent if there are none, or the server does not send them. */
  text?: string;
  /** How many messages of this room or conversation are unread. */
  unread: number;
}

/** What is shown: a title, and the options of `showNotification`. */
export interface Shown extends NotificationOptions {
  title: string;
}

export interface PushOptions {
  /** Returns what to show; by default the name, the room and the text. */
  show?: (news: PushNews) => Shown | Promise<Shown>;
  /** Returns the URL that a notification opens. */
  open: (news: PushNews) => string;
  /** Which open pages are the app; by default all within the worker's scope. */
  isApp?: (page: URL) => boolean;
}

/** What the worker sends a page when a notification is clicked. */
export interface OpenMessage {
  type: 'tandem.open';
  url: string;
  news: PushNews;
}

// TypeScript has these in a separate library, which cannot be combined with the one for pages.
interface Page {
  readonly url: string;
  readonly visibilityState: DocumentVisibilityState;
  focus(): Promise<unknown>;
  postMessage(message: OpenMessage): void;
}
interface Pushed extends Event {
  readonly data: { json(): unknown } | null;
  waitUntil(work: Promise<unknown>): void;
}
interface Pressed extends Event {
  readonly notification: Notification;
  waitUntil(work: Promise<unknown>): void;
}
interface Worker {
  readonly registration: ServiceWorkerRegistration;
  readonly navigator: Navigator;
  readonly clients: {
    matchAll(options: { type: 'window'; includeUncontrolled: boolean }): Promise<readonly unknown[]>;
    openWindow(url: string): Promise<unknown>;
  };
}

const tagOf = ({ room, user }: PushNews) => (room === undefined ? `user:${user}` : `room:${room}`);
const plain = ({ room, user = '', text = '', unread }: PushNews): Shown => ({
  title: `${room === undefined ? user : `${user}, ${room}`}${unread > 1 ? ` (${unread})` : ''}`,
  body: text,
});

/**
 * Handles pushes in a service worker: `handlePush({ open: ({ room, user }) => … })`. There is one notification per room
 * and conversation. Nothing is shown while a page of the app is on the screen.
 */
export function handlePush(options: PushOptions): void {
  const worker = globalThis as unknown as Worker;
  const { registration } = worker;
  const pages = async () => {
    const all = (await worker.clients.matchAll({ type: 'window', includeUncontrolled: true })) as Page[];
    return all.filter(({ url }) => url.startsWith(registration.scope) && (options.isApp?.(new URL(url)) ?? true));
  };
  /** The shown notifications, or those with a tag. Only this worker shows any here. */
  const shown = async (tag?: string) =>
    (await registration.getNotifications({ tag })).map((one) => ({ one, ...(one.data as PushNews) }));

  /**
   * Does one thing after another, in the order the pushes come: with two at once, the older could be shown last, and
   * Chromium forgets a notification if they are listed while it is being shown.
   */
  let last: Promise<unknown> = Promise.resolve();
  function inTurn(work: () => Promise<void>): Promise<void> {
    const done = last.then(work);
    last = done.catch(() => {}); // the browser reports it
    return done;
  }

  /** The number on the app's icon. Open pages know it better. */
  async function count(): Promise<void> {
    const { navigator } = worker;
    if (!('setAppBadge' in navigator) || (await pages()).length) return;
    const unread = (await shown()).reduce((sum, { unread }) => sum + unread, 0);
    await (unread ? navigator.setAppBadge(unread) : navigator.clearAppBadge()).catch(() => {}); // optional
  }

  async function show(news: PushNews): Promise<void> {
    const tag = tagOf(news);
    const before = await shown(tag);
    if (news.type === 'read') {
      for (const { one, message_id } of before) if (message_id <= news.message_id) one.close();
      return count();
    }
    // Safari ends a subscription whose pushes show nothing; the others tolerate it while a page is on the screen.
    const subscription = await registration.pushManager.getSubscription();
    if (!subscription?.endpoint.startsWith('https://web.push.apple.com/')) {
      if ((await pages()).some((page) => page.visibilityState === 'visible')) return;
      if (before.some(({ message_id }) => message_id >= news.message_id)) return; // it arrived earlier
    }
    const { title, ...how } = await (options.show ?? plain)(news);
    const fresh: NotificationOptions & { renotify: boolean } = { renotify: true, ...how, tag, data: news };
    await registration.showNotification(title, fresh);
    await count();
  }

  async function press(notification: Notification): Promise<void> {
    const news = notification.data as PushNews;
    notification.close();
    const url = options.open(news);
    const all = await pages();
    const page = all.find(({ visibilityState }) => visibilityState === 'visible') ?? all[0];
    if (!page) return void (await worker.clients.openWindow(url));
    page.postMessage({ type: 'tandem.open', url, news });
    await page.focus();
  }

  addEventListener('push', (event) => {
    const { data } = event as Pushed;
    if (data) (event as Pushed).waitUntil(inTurn(() => show(data.json() as PushNews)));
  });
  addEventListener('notificationclick', (event) => {
    (event as Pressed).waitUntil(press((event as Pressed).notification));
  });
  addEventListener('notificationclose', (event) => (event as Pressed).waitUntil(inTurn(count)));
}
