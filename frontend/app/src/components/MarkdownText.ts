// A formatted text, rendered element by element.
import { h, type VNode, type VNodeChild } from 'vue';
import { address, parse, plain, typed, type Nodes } from '../state/markdown';
import { linked, type About } from './linked';

/** Undefined if there is no formatting. */
export function render(text: string, about: About): VNodeChild {
  const tree = parse(text);
  return tree ? tree.children.map((node) => element(node, { text, about }, 0)) : undefined;
}

/** The text that the tree was parsed from. */
interface Source {
  text: string;
  about: About;
}

function element(node: Nodes, source: Source, depth: number): VNodeChild {
  const { text, about } = source;
  if (plain(node, text, depth)) return block(node) ? h('p', linked(typed(node, text), about)) : typed(node, text);
  const inside = (deeper = 0) =>
    'children' in node ? node.children.map((child) => element(child, source, depth + deeper)) : [];
  switch (node.type) {
    case 'text':
      return linked(node.value, about);
    case 'break':
      return '\n';
    case 'paragraph':
      return h('p', { dir: 'auto' }, inside());
    case 'strong':
      return h('strong', inside(1));
    case 'emphasis':
      return h('em', inside(1));
    case 'inlineCode':
      return h('code', node.value);
    case 'code':
      return h('pre', { tabindex: 0 }, h('code', node.value)); // focusable, so that the keyboard can scroll it
    case 'blockquote':
      return h('blockquote', { dir: 'auto' }, inside(1));
    case 'list':
      return h(node.ordered ? 'ol' : 'ul', node.ordered ? { start: node.start ?? 1 } : {}, inside(1));
    case 'listItem':
      return h('li', { dir: 'auto' }, tight(node) ? node.children.flatMap((c) => flat(c, source, depth)) : inside());
    case 'link':
      return link(address(node.url)!, inside(1));
    default:
      return typed(node, text);
  }
}

const block = (node: Nodes) => node.type === 'blockquote' || node.type === 'list';
const tight = (node: Nodes) => node.type === 'listItem' && !node.spread;

/** A paragraph in a tight list. */
function flat(node: Nodes, source: Source, depth: number): VNodeChild[] {
  if (node.type !== 'paragraph') return [element(node, source, depth)];
  return node.children.map((child) => element(child, source, depth));
}

const link = (href: string, content: VNodeChild[]): VNode =>
  h('a', { href, title: href, target: '_blank', rel: 'noopener noreferrer nofollow' }, content);
