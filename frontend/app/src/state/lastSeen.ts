// Whether a user is online, or when they last were.
import { usePerson } from '@tandem/client/vue';
import { computed, toValue, type MaybeRefOrGetter } from 'vue';
import { useI18n } from 'petite-vue-i18n';
import { useSite } from './site';

const STEPS = [
  ['minute', 60_000, 60],
  ['hour', 3_600_000, 24],
  ['day', 86_400_000, 30],
  ['month', 30 * 86_400_000, 12],
  ['year', 365 * 86_400_000, Infinity],
] as const;

export function useLastSeen(name: MaybeRefOrGetter<string>) {
  const { t, locale } = useI18n();
  const { online } = useSite();
  const person = usePerson(name);

  function ago(at: string): string {
    const ms = Date.now() - Date.parse(at);
    const [unit, length] = STEPS.find(([, length, most]) => ms < length * most)!;
    return new Intl.RelativeTimeFormat(locale.value, { numeric: 'auto' }).format(-Math.floor(ms / length), unit);
  }
  return computed(() => {
    if (online.names.value.has(toValue(name))) return t('people.online');
    const { last_seen } = person.value;
    return last_seen ? t('person.lastSeen', { when: ago(last_seen) }) : t('people.offline');
  });
}
