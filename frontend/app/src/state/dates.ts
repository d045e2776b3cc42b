// Dates and times in the format of the chosen language, and in the browser's region if it uses that language.
import { computed } from 'vue';
import { useI18n } from 'petite-vue-i18n';

const day = { weekday: 'long', day: 'numeric', month: 'long' } as const;

/** Formats are expensive to create, and every message needs some: they are cached per language. */
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
