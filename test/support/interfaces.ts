import ts from 'typescript';
import { readText } from './documents.js';

/** A property of an interface, and what its comment says. */
export interface Member {
  readonly name: string;
  readonly comment: string;
  /** As it is written behind `@defaultValue`. */
  readonly default: string | undefined;
}

/** The properties that stand in an exported interface of a file. */
export function membersOf(file: string, owner: string): Member[] {
  const source = ts.createSourceFile(file, readText(file), ts.ScriptTarget.Latest, true);
  const found = source.statements.filter(ts.isInterfaceDeclaration).find(({ name }) => name.text === owner);
  if (found === undefined) throw new Error(`expected the interface ${owner} in ${file}, got none`);
  return found.members.map((member) => {
    const comments = ts.getJSDocCommentsAndTags(member).map((comment) => comment.getText());
    const comment = comments.join('\n');
    const literal = /@defaultValue `(?<literal>[^`]+)`/.exec(comment)?.groups?.['literal'];
    return { name: member.name?.getText() ?? '', comment, default: literal };
  });
}

/** What `10_000`, `true`, `'error'` or `['a', 'b']` stands for; other texts for themselves. */
export function parseLiteral(literal: string): unknown {
  try {
    return JSON.parse(literal.replaceAll(/(?<=\d)_/g, '').replaceAll("'", '"'));
  } catch {
    return literal;
  }
}
