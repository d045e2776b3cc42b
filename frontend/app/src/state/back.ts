// A phone shows one column at a time; a swipe from the left edge goes back to the previous one.
import { onScopeDispose } from 'vue';
import type { Router } from 'vue-router';

const EDGE = 32; // px from the left edge in which a swipe starts
const FAR = 72; // minimum length, in px

/** The parent: the list for a conversation, the conversation for its users. */
function parent(router: Router): string {
  const { name, params } = router.currentRoute.value;
  if ((name === 'room' && params.here) || name === 'settings' || name === 'thread') {
    return router.resolve({ name: 'room', params: { room: params.room } }).fullPath;
  }
  if (name === 'private-thread') {
    return router.resolve({ name: 'private', params: { username: params.username } }).fullPath;
  }
  return '/';
}

/** Replaces the entry: otherwise the system's back button would lead to what was just left. */
export function goBack(router: Router): void {
  const to = parent(router);
  if (history.state?.back === to) router.back();
  else void router.replace(to);
}

export function useBackGesture(router: Router): void {
  const phone = matchMedia('(max-width: 640px)'); // the same width as in the styles
  let from: Touch | undefined;
  const start = ({ touches }: TouchEvent) => {
    from = phone.matches && touches.length === 1 && touches[0]!.clientX < EDGE ? touches[0] : undefined;
  };
  const end = ({ changedTouches: [to] }: TouchEvent) => {
    if (!from || !to) return;
    const [dx, dy] = [to.clientX - from.clientX, Math.abs(to.clientY - from.clientY)];
    if (dx > FAR && dx > 2 * dy) goBack(router);
  };
  addEventListener('touchstart', start, { passive: true });
  addEventListener('touchend', end, { passive: true });
  onScopeDispose(() => {
    removeEventListener('touchstart', start);
    removeEventListener('touchend', end);
  });
}
