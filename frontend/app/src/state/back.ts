// On a phone one column is shown at a time: a swipe from the left edge goes back to the one before.
import { onScopeDispose } from 'vue';
import type { Router } from 'vue-router';

const EDGE = 32; // px from the left where it begins
const FAR = 72; // px that it takes

/** Where one comes from: the list from a conversation, the conversation from who is in it. */
function parent(router: Router): string {
  const { name, params } = router.currentRoute.value;
  if ((name === 'room' && params.here) || name === 'settings') {
    return router.resolve({ name: 'room', params: { room: params.room } }).fullPath;
  }
  return '/';
}

/** There. Pushed, what was just left would be where the system's own way back leads. */
export function goBack(router: Router): void {
  const to = parent(router);
  if (history.state?.back === to) router.back();
  else void router.replace(to);
}

export function useBackGesture(router: Router): void {
  const phone = matchMedia('(max-width: 640px)'); // as the styles have it
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
