declare module 'virtual:locale/*' {
  import type { LocaleMessages, VueMessageType } from 'petite-vue-i18n';
  const messages: LocaleMessages<VueMessageType>[string];
  export default messages;
}

declare module 'virtual:late/*' {
  import type { LocaleMessages, VueMessageType } from 'petite-vue-i18n';
  const messages: LocaleMessages<VueMessageType>[string];
  export default messages;
}

declare module 'virtual:emoji/*' {
  /** The emoji of each group: character, name, and further search words. */
  const groups: [emoji: string, label: string, words: string][][];
  export default groups;
}
