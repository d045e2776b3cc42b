declare module 'virtual:locale/*' {
  import type { LocaleMessages, VueMessageType } from 'vue-i18n';
  const messages: LocaleMessages<VueMessageType>[string];
  export default messages;
}
