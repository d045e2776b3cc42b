// Files dragged onto an element from outside the page.
import { onMounted, onScopeDispose, ref, type Ref } from 'vue';

export function useDrop(element: Readonly<Ref<HTMLElement | null>>, dropped: (files: File[]) => void) {
  const over = ref(false);
  let depth = 0; // how many nested elements the pointer is over

  const files = (event: DragEvent) => event.dataTransfer?.types.includes('Files');
  function on(event: DragEvent): void {
    if (!files(event)) return;
    event.preventDefault(); // otherwise the browser opens the file
    if (event.type === 'dragenter') depth++;
    if (event.type === 'dragleave') depth--;
    if (event.type === 'drop') {
      depth = 0;
      dropped([...event.dataTransfer!.files]);
    }
    over.value = depth > 0;
  }
  const EVENTS = ['dragenter', 'dragleave', 'dragover', 'drop'] as const;
  onMounted(() => EVENTS.forEach((name) => element.value!.addEventListener(name, on)));
  onScopeDispose(() => EVENTS.forEach((name) => element.value?.removeEventListener(name, on)));
  return { over };
}
