/** The same documents by way of fast-xml-parser: another reader's opinion of the XML, and a plain walk over its tree. */
import { XMLParser, XMLValidator } from 'fast-xml-parser';

type Node = { readonly [name: string]: unknown };

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: true,
  ignoreDeclaration: true,
  parseTagValue: false,
  trimValues: false,
  htmlEntities: true,
});

export function isWellFormed(text: string): boolean {
  return XMLValidator.validate(text) === true;
}

/** The value of a valid property list, in the form of `PlistValue`. Lenient: validity is the scanner's business. */
export function readWithOracle(text: string): unknown {
  const roots = elements(parser.parse(text) as Node[]);
  const [value] = elements(roots[0]?.['plist'] as Node[]);
  return read(value as Node);
}

function elements(nodes: readonly Node[]): Node[] {
  return nodes.filter((node) => !('#text' in node) && nameOf(node)[0] !== '?');
}

function nameOf(node: Node): string {
  return Object.keys(node).find((key) => key !== ':@') as string;
}

function read(node: Node): unknown {
  const name = nameOf(node);
  const children = node[name] as Node[];
  const text = children.map((child) => String(child['#text'] ?? '')).join('');
  switch (name) {
    case 'string':
    case 'key':
      return text;
    case 'true':
    case 'false':
      return name === 'true';
    case 'integer': {
      const integer = BigInt(text.replace('+', ''));
      return Number.isSafeInteger(Number(integer)) ? Number(integer) : integer;
    }
    case 'real':
      return Number.parseFloat(text) + 0;
    case 'date':
      return new Date(text);
    case 'data':
      return Uint8Array.from(atob(text.replace(/\s/g, '')), (c) => c.charCodeAt(0));
    case 'array':
      return elements(children).map(read);
    case 'dict': {
      const items = elements(children);
      const dict = new Map<unknown, unknown>();
      for (let i = 0; i < items.length; i += 2) dict.set(read(items[i] as Node), read(items[i + 1] as Node));
      return dict;
    }
    default:
      throw new Error(`the oracle does not know ${name}`);
  }
}
