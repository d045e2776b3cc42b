// Numbers in the format of the chosen language, which the small build of vue-i18n does not have.
import { useI18n } from 'petite-vue-i18n';

export function useNumbers() {
  const { locale } = useI18n();
  return (value: number, options?: Intl.NumberFormatOptions) =>
    new Intl.NumberFormat(locale.value, options).format(value);
}
