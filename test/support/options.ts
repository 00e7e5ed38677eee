import { readdirSync } from 'node:fs';
import prettier from 'prettier';
import ts from 'typescript';
import type { OptionDefinitions } from '../../lib/common/parse.js';
import * as channel from '../../lib/channels/channel.options.js';
import * as groups from '../../lib/common/option-groups.js';
import { locate, readText, sectionOf } from './documents.js';

/** An option as the code defines it, for a list in docs/options.md. */
export interface OptionRow {
  readonly name: string;
  readonly value: string;
  readonly default: string;
  readonly meaning: string;
  /** The default in the comment, after `@defaultValue`. */
  readonly commented: string | undefined;
}

/** The comment of an option in the source. */
interface Comment {
  readonly text: string;
  readonly default: string | undefined;
}

/** A schema of valibot, with the properties that the page needs. */
interface Schema {
  readonly type: string;
  readonly kind?: string;
  readonly wrapped?: Schema;
  readonly default?: unknown;
  readonly pipe?: readonly Schema[];
  readonly description?: string;
  readonly entries?: OptionDefinitions;
  /** The schemas of a union, or the values of a list. */
  readonly options?: readonly unknown[];
  readonly literal?: unknown;
}

/** The object literals that are constants of lib/, by name. */
const objects = new Map(
  readdirSync(locate('lib'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => [file, readText(`lib/${file}`)] as const)
    .filter(([, text]) => text.includes('optional('))
    .flatMap(([file, text]) => {
      const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
      return source.statements.filter(ts.isVariableStatement);
    })
    .flatMap(({ declarationList }) => [...declarationList.declarations])
    .flatMap(({ name, initializer }) =>
      initializer && ts.isObjectLiteralExpression(initializer)
        ? [[name.getText(), initializer] as const]
        : [],
    ),
);

/** The groups whose options have rows of their own. */
const GROUPS = new Map<unknown, string>(
  Object.entries({ ...groups, ...channel }).map(([name, value]) => [value, name]),
);

/** The rows of the options that the constant `name` in lib/ defines, in their order. */
export function rowsOf(definitions: OptionDefinitions, name: string): OptionRow[] {
  const comments = commentsOf(name);
  return Object.entries(definitions).flatMap(([option, definition]) => {
    const schema = definition as unknown as Schema;
    const comment = comments.get(option) ?? NO_COMMENT;
    const group = groupOf(schema);
    if (group === undefined) return [rowOf(option, schema, comment)];
    const members = rowsOf(group, GROUPS.get(group) ?? '').map((row) => ({
      ...row,
      name: `${option}.${row.name}`,
      default: row.default === REQUIRED ? NONE : row.default, // required only when the group is given
      meaning: row.meaning || meaningOf(comment),
    }));
    return ownDescription(schema) === undefined ? members : [rowOf(option, schema, comment), ...members];
  });
}

const REQUIRED = 'required';
const NONE = 'none';

const NO_COMMENT: Comment = { text: '', default: undefined };

function rowOf(name: string, schema: Schema, comment: Comment): OptionRow {
  const literal = literalOf(schema.default);
  const otherwise = comment.default ?? (schema.type === 'optional' ? NONE : REQUIRED);
  return {
    name,
    value: valueOf(schema),
    default: literal === undefined ? otherwise : `\`${literal}\``,
    meaning: meaningOf(comment),
    commented: comment.default,
  };
}

const meaningOf = ({ text }: Comment): string =>
  text
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/\{@link ([a-z]\w*)\}/g, '`$1()`')
    .replaceAll(/\{@link (\w+)\}/g, '`$1`')
    .replaceAll(/docs\/([\w-]+)\.md/g, '[$1]($1.md)');

/** The entries of a group whose options have rows of their own. */
function groupOf(schema: Schema): OptionDefinitions | undefined {
  if (schema.entries && GROUPS.has(schema.entries)) return schema.entries;
  const inner = [schema.wrapped, ...(schema.pipe ?? [])].filter((one) => one !== undefined && one !== schema);
  return inner.map((one) => groupOf(one as Schema)).find((entries) => entries !== undefined);
}

/** The words for the value, if the definition has some. */
function ownDescription(schema: Schema): string | undefined {
  if (schema.wrapped) return ownDescription(schema.wrapped);
  return schema.pipe?.findLast(({ type }) => type === 'description')?.description;
}

function valueOf(schema: Schema): string {
  if (schema.wrapped) return valueOf(schema.wrapped);
  const own = ownDescription(schema);
  if (own !== undefined) return own;
  if (schema.pipe?.[0] && schema.pipe[0] !== schema) return valueOf(schema.pipe[0]);
  if (schema.type === 'boolean') return 'true, false';
  if (schema.type === 'string') return 'text';
  if (schema.type === 'picklist') return (schema.options ?? []).map(literalOf).join(', ');
  if (schema.type === 'literal') return String(schema.literal);
  if (schema.type === 'union') return (schema.options ?? []).map((one) => valueOf(one as Schema)).join(', ');
  throw new Error(`expected words for a value of the type "${schema.type}", got none. Add v.description().`);
}

/**
 * A default as a TypeScript literal; undefined without a default, or for an empty one, which the
 * comment describes.
 */
function literalOf(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'number') return value.toLocaleString('en-US').replaceAll(',', '_');
  if (typeof value === 'string') return `'${value}'`;
  if (Array.isArray(value)) return value.length === 0 ? undefined : `[${value.map(literalOf).join(', ')}]`;
  return typeof value === 'boolean' ? String(value) : undefined;
}

/** The page with the lists of these rows, formatted by Prettier. */
export async function withLists(
  page: string,
  lists: readonly (readonly [heading: string, rows: readonly OptionRow[]])[],
): Promise<string> {
  let text = page;
  for (const [heading, rows] of lists) {
    const section = sectionOf(text, heading);
    const list = rows.map((row) => `- \`${row.name}\`: ${settingOf(row)}. ${row.meaning}\n`).join('');
    text = text.replace(section, () => section.replace(/(?:^- `.*\n)+/m, () => list));
  }
  return await prettier.format(text, {
    ...(await prettier.resolveConfig('docs/options.md')),
    parser: 'markdown',
  });
}

/**
 * The value, and the default in parentheses. The page explains once that numbers are whole and
 * start at 1.
 */
function settingOf({ value, default: otherwise }: OptionRow): string {
  const short = value.replace(/, from 1(?=$|, )/, '').replace('whole number', 'number');
  return otherwise === NONE ? short : `${short} (${otherwise})`;
}

/** An option in a list of docs/options.md. */
export interface ListedOption {
  readonly name: string;
  /** The value, and the default in parentheses. */
  readonly setting: string;
  /** The default, if it is a literal. */
  readonly default: string | undefined;
  readonly meaning: string;
}

/** The options of the first list. */
export const listOf = (text: string): ListedOption[] =>
  Array.from(
    text.matchAll(/^- `(?<name>[^`]+)`: (?<setting>.*?)\. (?<meaning>.*)$/gm),
    ([, name = '', setting = '', meaning = '']) => ({
      name,
      setting,
      default: /\(`([^`]+)`\)$/.exec(setting)?.[1],
      meaning,
    }),
  );

/**
 * The comments of the options that a constant defines, including those of constants that it
 * spreads.
 */
function commentsOf(name: string): Map<string, Comment> {
  const object = objects.get(name);
  if (!object) throw new Error(`expected lib/ to define the options ${name} as a constant, got none`);
  return new Map(
    object.properties.flatMap((property): (readonly [string, Comment])[] =>
      ts.isSpreadAssignment(property)
        ? [...commentsOf(property.expression.getText())]
        : [[property.name.getText(), commentOf(property)]],
    ),
  );
}

function commentOf(property: ts.Node): Comment {
  const doc = ts.getJSDocCommentsAndTags(property).find(ts.isJSDoc);
  const tag = doc?.tags?.find(({ tagName }) => tagName.text === 'defaultValue');
  return {
    text: ts.getTextOfJSDocComment(doc?.comment) ?? '',
    default: tag && ts.getTextOfJSDocComment(tag.comment)?.trim(),
  };
}
