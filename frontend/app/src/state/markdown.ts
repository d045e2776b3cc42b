// The subset of Markdown for messages: bold, italic, code, quotes, lists and links. It is parsed into a tree, never
// HTML.
import { fromMarkdown } from 'mdast-util-from-markdown';
import type { Nodes, Root } from 'mdast';

export type { Nodes, Root };

// Everything else is shown as typed: no HTML, no pictures, no headings, and no code blocks by indentation.
const OFF = [
  'autolink', // links are found in the text anyway
  'characterReference',
  'codeIndented',
  'definition',
  'hardBreakEscape',
  'headingAtx',
  'htmlFlow',
  'htmlText',
  'labelStartImage',
  'setextUnderline',
  'thematicBreak',
];
const DEEPEST = 6; // levels of nested quotes and lists; deeper ones are shown as typed

const KEEP = 300; // cached trees: rows that scroll out of sight often come back
const trees = new Map<string, Root | null>();

/** The tree of a text, or null if it has no formatting. */
export function parse(text: string): Root | null {
  let tree = trees.get(text);
  if (tree === undefined) {
    const root = fromMarkdown(text, { extensions: [{ disable: { null: OFF } }] });
    tree = root.children.every((node) => !formatted(node, text)) ? null : root;
    if (trees.size >= KEEP) trees.delete(trees.keys().next().value!);
    trees.set(text, tree);
  }
  return tree;
}

/** The source of a node. */
export const typed = (node: Nodes, text: string): string =>
  text.slice(node.position!.start.offset, node.position!.end.offset);

function formatted(node: Nodes, text: string): boolean {
  if (node.type === 'paragraph') return node.children.some((child) => formatted(child, text));
  return node.type !== 'text' && node.type !== 'break' && !plain(node, text);
}

/** Whether it only resembles a quote, a list or a link: `>_<`, `2024.`, a link to a script. */
export function plain(node: Nodes, text: string, depth = 0): boolean {
  if (depth > DEEPEST) return true;
  if (node.type === 'blockquote') return !/^>[ \t\n>]/.test(typed(node, text));
  if (node.type === 'list') return node.children.some((item) => !item.children.length);
  return node.type === 'link' && !address(node.url);
}

/** A link's address, if it is allowed in messages. */
export function address(url: string): string | undefined {
  if (!URL.canParse(url)) return;
  const { protocol } = new URL(url);
  return ['http:', 'https:', 'mailto:'].includes(protocol) ? url : undefined;
}
