// The Markdown parser is loaded with the first text that may have formatting: most texts have none.
import { shallowRef } from 'vue';

type Renderer = typeof import('../components/MarkdownText');

const MARKS = /[*_`]|\]\(|^ {0,3}(?:>|[-+*]\s|\d{1,9}[.)]\s|~~~)/m;
const NESTED = /^(?:[ \t]*(?:[-+*>]|\d{1,9}[.)])){12}/m; // slow to parse, and never intended

const renderer = shallowRef<Renderer>();
let asked: Promise<void> | undefined;

/** Turns a text into elements; undefined if it needs none, or if the parser is not loaded yet. */
export function formatting(text: string): Renderer | undefined {
  if (!MARKS.test(text) || NESTED.test(text)) return;
  asked ??= import('../components/MarkdownText').then(
    (loaded) => void (renderer.value = loaded),
    () => (asked = undefined), // text stays as typed until the next attempt
  );
  return renderer.value;
}
