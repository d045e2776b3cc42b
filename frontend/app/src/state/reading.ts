// How far the user has read: marks what is on the screen as read, and locates the first new message.
import type { Message } from '@tandem/client';
import { computed, onScopeDispose, ref, shallowRef, watch, type Ref } from 'vue';

const PAUSE = 300; // ms, to make one call for a burst

/**
 * @param messages the messages of the open conversation
 * @param loading whether messages is about to be replaced by the latest page
 * @param unread how many were unread when the conversation was opened; undefined until that is known
 * @param atEnd whether the latest message is visible
 * @param mark moves the read marker on the server
 */
export function useReading(
  me: string,
  messages: Ref<Message[]>,
  loading: Ref<boolean>,
  unread: Ref<number | undefined>,
  atEnd: Ref<boolean>,
  mark: (id: number) => void,
) {
  /** The key of the first new message. */
  const newFrom = shallowRef<string>();
  const visible = ref(!document.hidden);
  const shown = computed(() => visible.value && atEnd.value);
  let opened = 0; // id of the last message when it was opened
  let seen = 0; // id of the last message that was on the screen
  let reported = 0; // as far as the server knows
  let timer: ReturnType<typeof setTimeout> | undefined;

  const others = () => messages.value.filter((m) => m.user !== me && m.id && !m.deleted);

  function look(): void {
    const last = messages.value.findLast((m) => m.id)?.id;
    if (!last || loading.value) return;
    if (unread.value !== undefined && !opened) {
      opened = last;
      // More may be unread than a page holds.
      newFrom.value = unread.value ? (others().at(-unread.value) ?? others()[0])?.key : undefined;
    } else if (opened && !newFrom.value && !shown.value) {
      newFrom.value = others().find((m) => m.id! > Math.max(opened, seen))?.key;
    }
    if (shown.value) seen = last;
    if (!opened || seen <= reported) return; // not before it is known how many were unread
    clearTimeout(timer);
    timer = setTimeout(tell, PAUSE);
  }

  function tell(): void {
    if (seen <= reported) return;
    reported = seen;
    mark(seen);
  }

  const show = () => (visible.value = !document.hidden);
  document.addEventListener('visibilitychange', show);
  onScopeDispose(() => {
    document.removeEventListener('visibilitychange', show);
    clearTimeout(timer);
    tell();
  });
  watch([messages, loading, unread, shown], look, { immediate: true });

  /** Hides the line for new messages. */
  const clear = () => (newFrom.value = undefined);
  return { newFrom, clear, shown };
}
