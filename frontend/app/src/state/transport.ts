// The transport forced in this tab, which survives a reload.
import type { Transport } from '@tandem/client';
import { ref } from 'vue';
import { session } from './storage';

export type Choice = Transport | 'auto';
export const CHOICES: readonly Choice[] = ['auto', 'ws', 'sse', 'sse-post', 'poll'];

const KEY = 'tandem.transport.forced';
const kept = session.get(KEY) as Choice | null;

export const choice = ref<Choice>(kept && CHOICES.includes(kept) ? kept : 'auto');

export function choose(to: Choice): void {
  choice.value = to;
  session.set(KEY, to);
}
