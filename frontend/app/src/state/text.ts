// Text as it is shown. It is never HTML: links are found in it and made elements of.

export interface Part {
  text: string;
  href?: string;
}

const LINK = /\bhttps?:\/\/[^\s<>"']+/gi;
const CLOSING: Record<string, string> = { ')': '(', ']': '[', '}': '{' };

/** A link ends before what rather belongs to the sentence. */
function trim(link: string): string {
  for (;;) {
    const last = link.at(-1)!;
    const open = CLOSING[last];
    const stray = open ? !link.slice(0, -1).includes(open) : '.,;:!?…»“”)'.includes(last);
    if (!stray) return link;
    link = link.slice(0, -1);
  }
}

/** Text and the links in it, http and https alone. */
export function parts(text: string): Part[] {
  const all: Part[] = [];
  let from = 0;
  for (const match of text.matchAll(LINK)) {
    const link = trim(match[0]);
    if (!URL.canParse(link)) continue;
    if (match.index > from) all.push({ text: text.slice(from, match.index) });
    all.push({ text: link, href: link });
    from = match.index + link.length;
  }
  if (from < text.length) all.push({ text: text.slice(from) });
  return all;
}

/** Characters, as the server counts them; not UTF-16 units. */
export const length = (text: string): number => [...text].length;
export const LONGEST = 4000;

/** Whether a message of it would be an empty line everywhere; the server refuses it as `message_empty`. */
export const showsNothing = (text: string): boolean =>
  /^[\p{Default_Ignorable_Code_Point}\p{White_Space}\p{Cc}\u2800\ufff9-\ufffb]*$/u.test(text);
