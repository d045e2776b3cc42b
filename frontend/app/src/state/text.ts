// Text for display, never as HTML: links are found and become elements.

export interface Part {
  text: string;
  href?: string;
  /** Who is mentioned: a username, or everybody. */
  mention?: string;
}

/** The users that a message mentions, as the server found them. */
export interface Mentions {
  mentions?: readonly string[];
  mentions_all?: boolean;
}

export const ALL = 'all';
const MENTION = /(?<![\p{L}\p{N}])@([\p{L}\p{N}][\p{L}\p{N}\p{M}_.-]*)/gu;

const LINK = /\bhttps?:\/\/[^\s<>"']+/gi;
const CLOSING: Record<string, string> = { ')': '(', ']': '[', '}': '{' };

/** Punctuation at the end of a link that belongs to the sentence. */
function trim(link: string): string {
  for (;;) {
    const last = link.at(-1)!;
    const open = CLOSING[last];
    const stray = open ? !link.slice(0, -1).includes(open) : '.,;:!?…»“”)'.includes(last);
    if (!stray) return link;
    link = link.slice(0, -1);
  }
}

/** Splits text into plain text, http and https links, and mentions. */
export function parts(text: string, whom: Mentions = {}): Part[] {
  const all: Part[] = [];
  let from = 0;
  for (const match of text.matchAll(LINK)) {
    const link = trim(match[0]);
    if (!URL.canParse(link)) continue;
    all.push(...mentioned(text.slice(from, match.index), whom), { text: link, href: link });
    from = match.index + link.length;
  }
  all.push(...mentioned(text.slice(from), whom));
  return all;
}

function mentioned(text: string, { mentions = [], mentions_all }: Mentions): Part[] {
  if (!mentions.length && !mentions_all) return text ? [{ text }] : [];
  const all: Part[] = [];
  let from = 0;
  for (const { 1: typed, index } of text.matchAll(MENTION)) {
    // A dot may end a name, and also a sentence.
    for (let name = typed!; name; name = /[._-]$/.test(name) ? name.slice(0, -1) : '') {
      const mention = name.normalize('NFC').toLowerCase();
      if (!mentions.includes(mention) && !(mentions_all && mention === ALL)) continue;
      if (index > from) all.push({ text: text.slice(from, index) });
      from = index + 1 + name.length;
      all.push({ text: text.slice(index, from), mention });
      break;
    }
  }
  if (from < text.length) all.push({ text: text.slice(from) });
  return all;
}

/** Counts characters as the server does, not UTF-16 units. */
export const length = (text: string): number => [...text].length;
export const LONGEST = 4000;

/** Whether the message would look empty; the server refuses it as `message_empty`. */
export const showsNothing = (text: string): boolean =>
  /^[\p{Default_Ignorable_Code_Point}\p{White_Space}\p{Cc}\u2800\ufff9-\ufffb]*$/u.test(text);
