// Dates and times as they are written in the chosen language, where the browser is if that speaks it.
import { computed } from 'vue';
import { useI18n } from 'vue-i18n';

const day = { weekday: 'long', day: 'numeric', month: 'long' } as const;

/** Formats are dear to make, and every message needs some: one of each for a language. */
function make(tag: string) {
  const format = (options: Intl.DateTimeFormatOptions) => {
    const { format } = new Intl.DateTimeFormat(tag, options);
    return (at: string) => format(new Date(at));
  };
  const thisYear = format(day);
  const otherYear = format({ ...day, year: 'numeric' });
  return {
    time: format({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }),
    full: format({ dateStyle: 'full', timeStyle: 'medium' }),
    short: format({ dateStyle: 'medium' }),
    day: (at: string) => (new Date(at).getFullYear() === new Date().getFullYear() ? thisYear : otherYear)(at),
  };
}
const made = new Map<string, ReturnType<typeof make>>();

export function useDates() {
  const { locale } = useI18n();
  return computed(() => {
    const tag = navigator.languages.find((l) => l.startsWith(locale.value)) ?? locale.value;
    let dates = made.get(tag);
    if (!dates) made.set(tag, (dates = make(tag)));
    return dates;
  });
}
