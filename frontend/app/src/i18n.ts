// The app's languages. One is loaded at a time: the browser's, unless the user has chosen another.
import { nextTick, type App } from 'vue';
import { createI18n } from 'petite-vue-i18n';
import type en from './locales/en.json';
import type ru from './locales/ru.json';
import type zh from './locales/zh.json';
import { local } from './state/storage';

type Messages = typeof en;
/** Fails to compile if a language lacks a message. */
type Complete<T extends Messages> = T;
export type Languages = { en: Messages; zh: Complete<typeof zh>; ru: Complete<typeof ru> };
export type Language = keyof Languages;

export const LANGUAGES: Record<Language, string> = { en: 'English', zh: '中文', ru: 'Русский' };

const KEY = 'tandem.language';
const load = {
  en: () => import('virtual:locale/en'),
  zh: () => import('virtual:locale/zh'),
  ru: () => import('virtual:locale/ru'),
};

const loadLate = {
  en: () => import('virtual:late/en'),
  zh: () => import('virtual:late/zh'),
  ru: () => import('virtual:late/ru'),
};
/** Whether anything has been opened that needs the remaining messages. */
let late = false;

/** 1 комната, 2 комнаты, 5 комнат; of four forms the first is for 0. */
function russian(n: number, forms: number): number {
  if (!n && forms > 3) return 0;
  const [tens, ones] = [Math.floor(n / 10) % 10, n % 10];
  return forms - (tens === 1 || ones === 0 || ones > 4 ? 1 : ones === 1 ? 3 : 2);
}

export const i18n = createI18n({
  legacy: false,
  locale: 'en',
  messages: {} as Record<Language, Messages>,
  pluralRules: { ru: russian },
  missingWarn: false,
  fallbackWarn: false,
});

function preferred(): Language {
  const known = [local.get(KEY) ?? '', ...navigator.languages].map((tag) => tag.slice(0, 2).toLowerCase());
  return (known.find((tag) => tag in LANGUAGES) ?? 'en') as Language;
}

/** The language to show, also while it is loading. */
let wanted = preferred();

async function show(language: Language): Promise<void> {
  wanted = language;
  let parts, whole;
  do {
    whole = late;
    parts = await Promise.all([load[language](), whole ? loadLate[language]() : { default: {} }]);
  } while (whole !== late); // something was opened meanwhile that needs the rest
  if (wanted !== language) return; // another language was chosen meanwhile
  i18n.global.setLocaleMessage(language, Object.assign({}, ...parts.map((part) => part.default)) as never);
  i18n.global.locale.value = language;
  document.documentElement.lang = language;
  await nextTick();
}

/** Loads a part of the app together with the messages that the first load leaves out. */
export async function withMessages<T>(load: () => Promise<T>): Promise<T> {
  const needed = late ? undefined : ((late = true), show(wanted));
  const [part] = await Promise.all([load(), needed]);
  return part;
}

export async function choose(language: Language): Promise<void> {
  local.set(KEY, language);
  await show(language);
}

export async function startI18n(app: App): Promise<void> {
  await show(preferred());
  app.use(i18n);
}
