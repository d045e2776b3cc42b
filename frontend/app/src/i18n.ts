// The languages of the app. One is loaded at a time; the browser's first, unless another was chosen here.
import { nextTick, type App } from 'vue';
import { createI18n } from 'vue-i18n';
import type en from './locales/en.json';
import type ru from './locales/ru.json';
import type zh from './locales/zh.json';
import { local } from './state/storage';

type Messages = typeof en;
/** Fails to compile where a language lacks a message. */
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

/** 1 комната, 2 комнаты, 5 комнат. */
function russian(n: number): number {
  const [tens, ones] = [Math.floor(n / 10) % 10, n % 10];
  if (tens === 1 || ones === 0 || ones > 4) return 2;
  return ones === 1 ? 0 : 1;
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

async function show(language: Language): Promise<void> {
  const messages = (await load[language]()).default;
  i18n.global.setLocaleMessage(language, messages as never);
  i18n.global.locale.value = language;
  document.documentElement.lang = language;
  await nextTick();
}

export async function choose(language: Language): Promise<void> {
  local.set(KEY, language);
  await show(language);
}

export async function startI18n(app: App): Promise<void> {
  await show(preferred());
  app.use(i18n);
}
