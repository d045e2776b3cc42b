// On a phone one column is shown at a time: a swipe from the left edge goes back to the one before.
import { onScopeDispose } from 'vue';
import type { Router } from 'vue-router';

const EDGE = 32; // px from the left where it begins
const FAR = 72; // px that it takes

/** Where one comes from: the list from a conversation, the conversation from who is in it. */
export function parent(router: Router): string {
  const { name, params } = router.currentRoute.value;
  if ((name === 'room' && params.here) || name === 'settings') {
    return router.resolve({ name: 'room', params: { room: params.room } }).fullPath;
  }
  return '/';
}

export function useBackGesture(router: Router): void {
  let from: Touch | undefined;
  const start = ({ touches }: TouchEvent) => {
    from = touches.length === 1 && touches[0]!.clientX < EDGE ? touches[0] : undefined;
  };
  const end = ({ changedTouches: [to] }: TouchEvent) => {
    if (!from || !to) return;
    const [dx, dy] = [to.clientX - from.clientX, Math.abs(to.clientY - from.clientY)];
    if (dx > FAR && dx > 2 * dy) void router.push(parent(router));
  };
  addEventListener('touchstart', start, { passive: true });
  addEventListener('touchend', end, { passive: true });
  onScopeDispose(() => {
    removeEventListener('touchstart', start);
    removeEventListener('touchend', end);
  });
}
