// Users online on the whole site. The server names the first 500 and counts all.
import type { TandemEvent } from '@tandem/client';
import { shallowRef } from 'vue';

export function createOnline() {
  const names = shallowRef<ReadonlySet<string>>(new Set());
  const count = shallowRef(0);

  function receive(event: TandemEvent): void {
    if (!event.type.startsWith('user_') || ('room' in event && event.room !== undefined)) return;
    if (event.type === 'user_list') {
      names.value = new Set(event.users);
      count.value = event.count;
    } else if (event.type === 'user_join' && !names.value.has(event.user)) {
      names.value = new Set(names.value).add(event.user);
      count.value++;
    } else if (event.type === 'user_leave' && names.value.has(event.user)) {
      names.value = new Set([...names.value].filter((name) => name !== event.user));
      count.value--;
    }
  }

  return { names, count, receive };
}
