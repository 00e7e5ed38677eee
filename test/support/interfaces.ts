import { readdirSync } from 'node:fs';
import ts from 'typescript';
import { locate, readText } from './documents.js';

/** A property of an interface, with its comment. */
export interface Member {
  readonly name: string;
  readonly comment: string;
  /** The literal after `@defaultValue`. */
  readonly default: string | undefined;
}

const declarations = readdirSync(locate('lib'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .flatMap((file) => {
    const text = readText(`lib/${file}`);
    return ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true).statements;
  })
  .filter(ts.isInterfaceDeclaration);

/** The properties of an interface in lib/. */
export function membersOf(owner: string): Member[] {
  const [found, second] = declarations.filter(({ name }) => name.text === owner);
  if (!found || second)
    throw new Error(`expected one interface ${owner} in lib/, got ${second ? 'two' : 'none'}`);
  return found.members.map((member) => {
    const comments = ts.getJSDocCommentsAndTags(member).map((comment) => comment.getText());
    const comment = comments.join('\n');
    const literal = /@defaultValue `(?<literal>[^`]+)`/.exec(comment)?.groups?.['literal'];
    return { name: member.name?.getText() ?? '', comment, default: literal };
  });
}

/**
 * The value of `10_000`, `true`, `'error'` or `['a', 'b']`; other texts are returned as they are.
 */
export function parseLiteral(literal: string): unknown {
  try {
    return JSON.parse(literal.replaceAll(/(?<=\d)_/g, '').replaceAll("'", '"'));
  } catch {
    return literal;
  }
}
