// The transport that was forced in this tab outlives a reload.
import type { Transport } from '@tandem/client';

export type Choice = Transport | 'auto';
export const CHOICES: readonly Choice[] = ['auto', 'ws', 'sse', 'sse-post', 'poll'];

const KEY = 'tandem.transport.forced';

export function kept(): Choice {
  const choice = sessionStorage.getItem(KEY) as Choice | null;
  return choice && CHOICES.includes(choice) ? choice : 'auto';
}

export const keep = (choice: Choice): void => sessionStorage.setItem(KEY, choice);
