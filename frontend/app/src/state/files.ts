// Files of messages.
import type { TandemFile } from '@tandem/client';
import { inject, type InjectionKey } from 'vue';

export const MOST_FILES = 10; // per message

/** Types that browsers show in an <img>. Their size is known, so that their space can be reserved. */
export const isPicture = ({ type, width, height, preview }: TandemFile): boolean =>
  /^image\/(png|jpeg|gif|webp|avif)$/.test(type) && preview && !!width && !!height;

/** Opens a picture of the conversation. */
export const VIEW: InjectionKey<(id: string) => void> = Symbol('view');
export const useViewer = () => inject(VIEW, () => {});

const UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte'] as const;

/** Formats a size in the language, such as 1.4 MB. */
export function bytes(size: number, locale: string): string {
  const i = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(1, size)) / 3));
  const options = {
    style: 'unit',
    unit: UNITS[i],
    unitDisplay: i ? 'short' : 'long',
    maximumFractionDigits: 1,
  } as const;
  return new Intl.NumberFormat(locale, options).format(size / 1000 ** i);
}
