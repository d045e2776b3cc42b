// Text with its links and mentions.
import { h, type VNodeChild } from 'vue';
import { ALL, parts, type Mentions } from '../state/text';

/** me: the user whose mentions are highlighted. */
export interface About extends Mentions {
  me?: string;
}

export const linked = (text: string, about: About): VNodeChild[] =>
  parts(text, about).map(({ text, href, mention }) => {
    if (href) return h('a', { href, target: '_blank', rel: 'noopener noreferrer nofollow' }, text);
    if (!mention) return text;
    return h('span', { class: ['mention', { mine: mention === about.me || mention === ALL }] }, text);
  });
