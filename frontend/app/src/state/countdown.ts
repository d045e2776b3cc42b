// Seconds until a time.
import { onScopeDispose, ref, watch, type Ref } from 'vue';

/** Whole seconds until a time in milliseconds, counting down; 0 once it has passed, or if there is none. */
export function useCountdown(until: () => number): Readonly<Ref<number>> {
  const left = ref(0);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = () => {
    clearTimeout(timer);
    const ms = until() - Date.now();
    left.value = Math.max(0, Math.ceil(ms / 1000));
    if (left.value) timer = setTimeout(look, ms % 1000 || 1000);
  };
  watch(until, look, { immediate: true });
  onScopeDispose(() => clearTimeout(timer));
  return left;
}
