#!/usr/bin/env node
// @ts-check
/**
 * Checks three rules of lib/ that no linter has, and prints one line per finding:
 * `node tools/check-rules.js`.
 *
 * 1. Only lib/postgres uses the internals of pg, pg-pool and TypeORM. lib/postgres/internals.json
 *    lists them: as `member`; as `object.member` if the member is an ordinary word elsewhere (the
 *    name of the object ends with `object`); as `member =` if only writing is internal.
 * 2. lib/common/deadline.ts limits every wait for a query, a connection or an event. An exception
 *    gives its reason in a comment on the same line, above the statement, function or class, or at
 *    the top of the file: `// no deadline: <reason>`. A race with a timer is a finding, because
 *    there must be only one way to limit a wait.
 * 3. `instanceof` names neither a class of a package nor a class that applications get from this
 *    package, because there may be several copies of it. The same holds for `instance()` of
 *    valibot. Classes whose names are variables are not checked.
 *
 * Files are parsed without types. Members whose name is computed at run time are not found.
 */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const DOOR = 'lib/postgres/';
const DEADLINE = 'lib/common/deadline.ts';

/**
 * Classes that `instanceof` may name: built-in ones, and classes whose instances never come from
 * another copy of a package.
 */
export const COMPARABLE_CLASSES = [
  // built-in
  'AggregateError',
  'Date',
  'Error',
  'Map',
  'Promise',
  'RangeError',
  'Set',
  'TypeError',
  // internal: thrown and caught in this copy
  'CommandFailure',
  'LateError',
  'SessionLostError',
  'CommanderError', // from a dependency that only the command line uses
  'ProxyTracer', // returned by its own package when nothing is registered
];

/** Methods that wait for the database, called on any object. */
export const WAITING_METHODS = ['query', 'connect', 'transaction', 'execute', 'stream'];
/** Functions that limit the wait of their arguments. */
export const LIMITING_FUNCTIONS = ['withDeadline', 'settlesWithin'];
/**
 * Methods that limit the wait of their arguments, as `object.method`: `limit` and `run` alone are
 * ordinary words.
 */
export const LIMITING_METHODS = ['deadline.limit', 'deadline.run'];
/** The minimum number of characters of a reason. */
export const MIN_REASON_LENGTH = 15;

/**
 * A place in the source that names a member of an object. `owner` is the name of the object, if the
 * object has one. In a declaration `owner` is the name of the type.
 * @typedef {{ node: ts.Node, member: string, owner?: string | undefined, isWritten?: boolean, isType?: boolean }} Mention
 * @typedef {Readonly<Record<string, string>>} Internals
 * @typedef {{ node: ts.Node, text: string }} Finding
 */

/**
 * Returns the findings in one file, in their order. `file` is relative to the package's folder.
 * @param {string} file @param {string} text @param {Internals} internals
 */
export function checkSource(file, text, internals) {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const nodes = [/** @type {ts.Node} */ (source)];
  for (const node of nodes) ts.forEachChild(node, (child) => void nodes.push(child)); // grows during the loop
  const findings = [
    ...(file.startsWith(DOOR) ? [] : findInternals(nodes, internals)),
    ...findComparisons(nodes),
    ...(file === DEADLINE ? [] : findWaits(nodes.filter(ts.isCallExpression), source)),
  ];
  return findings
    .map(({ node, text: finding }) => ({ start: node.getStart(), finding }))
    .toSorted((a, b) => a.start - b.start)
    .map(({ start, finding }) => {
      const { line, character } = source.getLineAndCharacterOfPosition(start);
      return `${file}:${line + 1}:${character + 1}  ${finding}`;
    });
}

// Rule 1

/** @param {readonly ts.Node[]} nodes @param {Internals} internals @returns {Iterable<Finding>} */
function* findInternals(nodes, internals) {
  const entriesOf = /** @type {Map<string, string[]>} */ (new Map());
  for (const entry of Object.keys(internals)) {
    const member = entry.replaceAll(/^.*\.| =$/g, '');
    entriesOf.set(member, [...(entriesOf.get(member) ?? []), entry]);
  }
  const remedy = `Move this code into ${DOOR}, or call a function from there.`;
  for (const node of nodes)
    for (const mention of mentionsIn(node)) {
      const entry = entriesOf.get(mention.member)?.find((one) => matches(mention, one));
      if (entry === undefined) continue;
      yield { node: mention.node, text: `"${mention.member}" is internal to ${internals[entry]}. ${remedy}` };
    }
}

/** @param {Mention} mention @param {string} entry */
function matches({ owner, isWritten = false, isType = false }, entry) {
  if (entry.endsWith(' =') && !isWritten) return false;
  const [object = '', member] = entry.split('.');
  if (member === undefined) return true;
  const [name, word] = [(owner ?? '').toLowerCase(), object.toLowerCase()];
  return isType ? name.includes(word) : name.endsWith(word); // PipeliningClient, PostgresDriverParts
}

/** @param {ts.Node} node @returns {Iterable<Mention>} */
function* mentionsIn(node) {
  if (ts.isPropertyAccessExpression(node) || ts.isElementAccessExpression(node)) {
    const name = memberOf(node);
    if (ts.isIdentifier(name) && ts.isElementAccessExpression(node)) return; // computed
    yield { node: name, member: textOf(name), owner: nameOf(node.expression), isWritten: isWritten(node) };
  } else if (ts.isBindingElement(node) && ts.isObjectBindingPattern(node.parent)) yield* bindingOf(node);
  else if (ts.isPropertySignature(node) || ts.isMethodSignature(node))
    yield { node: node.name, member: textOf(node.name), owner: typeNameOf(node.parent), isType: true };
  else if (ts.isIndexedAccessTypeNode(node) && ts.isLiteralTypeNode(node.indexType))
    yield { node, member: textOf(node.indexType.literal), owner: textOf(node.objectType), isType: true };
  else if (ts.isBinaryExpression(node)) yield* operandsOf(node);
  else if (ts.isCallExpression(node)) yield* reflectionOf(node);
}

/** @param {ts.PropertyAccessExpression | ts.ElementAccessExpression} access */
const memberOf = (access) =>
  ts.isPropertyAccessExpression(access) ? access.name : access.argumentExpression;

/** @param {ts.BindingElement} element @returns {Iterable<Mention>} */
function* bindingOf(element) {
  const name = element.propertyName ?? element.name;
  const holder = element.parent.parent; // the parent of the pattern
  const about = { node: element, member: textOf(name) };
  if (ts.isBindingElement(holder)) yield { ...about, owner: textOf(holder.propertyName ?? holder.name) };
  else if (holder.initializer) yield { ...about, owner: nameOf(holder.initializer) };
  else yield { ...about, owner: holder.type && textOf(holder.type), isType: true };
}

/** Yields the members of `'member' in x` and `({ member } = x)`. @param {ts.BinaryExpression} node @returns {Iterable<Mention>} */
function* operandsOf({ left, operatorToken, right }) {
  const owner = nameOf(right);
  if (operatorToken.kind === ts.SyntaxKind.InKeyword && ts.isStringLiteralLike(left))
    yield { node: left, member: left.text, owner };
  if (operatorToken.kind === ts.SyntaxKind.EqualsToken && ts.isObjectLiteralExpression(left))
    for (const { name } of left.properties) if (name) yield { node: name, member: textOf(name), owner };
}

const REFLECTION = /^(?:Reflect\.(get|set|has|deleteProperty|defineProperty)|Object\.(?:assign|create|defineProperty|defineProperties))$/; // prettier-ignore

/**
 * Yields the members of calls such as `Object.assign(x, { member })` and
 * `Reflect.get(x, 'member')`.
 * @param {ts.CallExpression} call @returns {Iterable<Mention>}
 */
function* reflectionOf({ expression, arguments: [target, ...others] }) {
  if (!ts.isPropertyAccessExpression(expression) || target === undefined) return;
  const found = REFLECTION.exec(`${textOf(expression.expression)}.${expression.name.text}`);
  if (!found) return;
  const about = { owner: nameOf(target), isWritten: found[1] !== 'get' && found[1] !== 'has' };
  for (const argument of others) {
    if (ts.isStringLiteralLike(argument)) yield { node: argument, member: argument.text, ...about };
    if (!ts.isObjectLiteralExpression(argument)) continue;
    for (const { name } of argument.properties)
      if (name) yield { node: name, member: textOf(name), ...about };
  }
}

/** Returns the identifier or the last member, without casts. @param {ts.Expression} expression @returns {string | undefined} */
function nameOf(expression) {
  if (ts.isIdentifier(expression) || expression.kind === ts.SyntaxKind.ThisKeyword)
    return expression.getText();
  if (ts.isPropertyAccessExpression(expression) || ts.isElementAccessExpression(expression))
    return textOf(memberOf(expression));
  const isWrapper = 'expression' in expression && !ts.isNewExpression(expression); // a cast, a call, an await
  return isWrapper ? nameOf(/** @type {ts.Expression} */ (expression.expression)) : undefined;
}

/** Returns the name of an interface, or of the variable or member with this type. @param {ts.Node} type @returns {string | undefined} */
function typeNameOf(type) {
  if (ts.isInterfaceDeclaration(type)) return type.name.text;
  const { parent } = type;
  if (ts.isTypeNode(parent)) return typeNameOf(parent);
  if (ts.isAsExpression(parent) || ts.isSatisfiesExpression(parent)) return nameOf(parent.expression);
  return 'name' in parent && parent.name ? textOf(/** @type {ts.Node} */ (parent.name)) : undefined;
}

/** @param {ts.Node} node */
const textOf = (node) => (ts.isIdentifier(node) || ts.isStringLiteralLike(node) ? node.text : node.getText());

/** @param {ts.Node} node */
function isWritten(node) {
  const { parent } = node;
  if (!ts.isBinaryExpression(parent) || parent.left !== node) return ts.isDeleteExpression(parent);
  const { kind } = parent.operatorToken;
  return kind >= ts.SyntaxKind.FirstAssignment && kind <= ts.SyntaxKind.LastAssignment;
}

// Rule 2

const RACES = 'Promise.race() with a timer is a second way to limit a wait';
const LIMIT_IT = 'Pass it to withDeadline() or settlesWithin(), or add "// no deadline: <reason>" above it.';

/** @param {readonly ts.CallExpression[]} calls @param {ts.SourceFile} source @returns {Iterable<Finding>} */
function* findWaits(calls, source) {
  const isOnce = importedAs(source, 'once', /^(?:node:)?events$/);
  const isImported = importedAs(source, 'setTimeout', /^(?:node:)?timers(?:\/promises)?$/);
  const isTimer = (/** @type {string} */ callee) =>
    /^(?:setTimeout|delay)$/.test(callee) || isImported(callee);
  const timed = new Set(calls.filter((call) => isTimer(calleeOf(call))).map(functionAround));
  for (const call of calls) {
    const callee = calleeOf(call);
    const isRace = callee === 'Promise.race' && timed.has(functionAround(call));
    const isWait = isOnce(callee) || WAITING_METHODS.some((name) => callee.endsWith(`.${name}`));
    if (!isRace && (!isWait || isLimited(call))) continue;
    const reasons = [...reasonsFor(call, source)];
    if (reasons.some((reason) => reason.length >= MIN_REASON_LENGTH)) continue;
    const node = ts.isPropertyAccessExpression(call.expression) ? call.expression.name : call;
    const what = isRace ? RACES : `${callee}() waits without a limit`;
    const tooShort = `The reason "${reasons[0]}" has less than ${MIN_REASON_LENGTH} characters. State what ends the wait.`;
    yield { node, text: reasons.length > 0 ? tooShort : `${what}. ${LIMIT_IT}` };
  }
}

/** Returns `name`, or `object.name` with the last member of the object. @param {ts.CallExpression} call */
function calleeOf({ expression: callee }) {
  if (ts.isIdentifier(callee)) return callee.text;
  if (!ts.isPropertyAccessExpression(callee) && !ts.isElementAccessExpression(callee)) return '';
  return `${nameOf(callee.expression) ?? '…'}.${textOf(memberOf(callee))}`;
}

/**
 * Returns a function that decides whether a callee is the function `name` of a module, under any
 * name that this file imports it by.
 * @param {ts.SourceFile} source @param {string} name @param {RegExp} module
 * @returns {(callee: string) => boolean}
 */
function importedAs(source, name, module) {
  const names = /** @type {Set<string>} */ (new Set());
  for (const statement of source.statements) {
    if (!ts.isImportDeclaration(statement) || !module.test(textOf(statement.moduleSpecifier))) continue;
    const { name: whole, namedBindings } = statement.importClause ?? {};
    if (whole) names.add(`${whole.text}.${name}`);
    if (namedBindings && ts.isNamespaceImport(namedBindings)) names.add(`${namedBindings.name.text}.${name}`);
    if (namedBindings && ts.isNamedImports(namedBindings))
      for (const one of namedBindings.elements)
        if (textOf(one.propertyName ?? one.name) === name) names.add(one.name.text);
  }
  return (callee) => names.has(callee);
}

/** Whether a call is within an argument of a call that limits it. @param {ts.CallExpression} call */
function isLimited(call) {
  for (let node = /** @type {ts.Node} */ (call); !ts.isSourceFile(node); node = node.parent) {
    const { parent } = node;
    if (!ts.isCallExpression(parent) || parent.expression === node) continue;
    const callee = calleeOf(parent);
    const isMethod = LIMITING_METHODS.some((method) => callee.toLowerCase().endsWith(method));
    if (isMethod || LIMITING_FUNCTIONS.includes(callee)) return true;
  }
  return false;
}

/** Returns the function around a node, or the function that passes this one as a callback. @param {ts.Node} node */
function functionAround(node) {
  let found = node.parent;
  while (!ts.isSourceFile(found) && (!ts.isFunctionLike(found) || 'arguments' in found.parent))
    found = found.parent;
  return found;
}

/** @param {ts.CallExpression} call @param {ts.SourceFile} source @returns {Iterable<string>} */
function* reasonsFor(call, source) {
  for (const end of [call.expression.getEnd(), call.getEnd()])
    yield* reasonIn(/\/\/.*/.exec(source.text.slice(end).split('\n', 1)[0] ?? '')?.[0] ?? '');
  let isInStatement = true;
  for (let node = /** @type {ts.Node} */ (call); !ts.isSourceFile(node); node = node.parent) {
    if (isInStatement || holdsFunctions(node)) yield* reasonIn(commentAbove(node, source));
    if (ts.isStatement(node) && !isBranch(node)) isInStatement = false;
  }
  yield* reasonIn(commentOfFile(source));
}

/** Whether a statement follows an `if` or a `for` without braces. @param {ts.Node} node */
const isBranch = ({ parent }) => ts.isStatement(parent) && !ts.isBlock(parent);

/** Whether a comment above a node applies to the functions in it. @param {ts.Node} node */
const holdsFunctions = (node) =>
  [ts.isFunctionLike, ts.isClassLike, ts.isVariableStatement, ts.isPropertyAssignment].some((is) =>
    is(node),
  ) || ts.isPropertyDeclaration(node);

/** Returns the comments that end on the line above a node. @param {ts.Node} node @param {ts.SourceFile} source */
function commentAbove(node, { text }) {
  let start = node.getStart();
  for (const { pos, end } of (ts.getLeadingCommentRanges(text, node.getFullStart()) ?? []).toReversed()) {
    if (/\n\s*\n/.test(text.slice(end, start))) break;
    start = pos;
  }
  return text.slice(start, node.getStart());
}

/**
 * Returns the comments at the top, without the comment of the first statement unless that is an
 * import.
 * @param {ts.SourceFile} source
 */
function commentOfFile(source) {
  const first = source.statements[0] ?? source;
  const above = ts.isImportDeclaration(first) ? '' : commentAbove(first, source);
  return source.text.slice(0, first.getStart() - above.length);
}

/** @param {string} comment @returns {string[]} */
function reasonIn(comment) {
  const text = comment.replaceAll(/^\s*(?:\/\/|\/\*\*?|\*(?!\/))|\*\/\s*$/gm, '');
  const reason = /\bno deadline:([^]*?)(?:\n\s*\n|\n\s*@|$)/i.exec(text)?.[1];
  return reason === undefined ? [] : [reason.replaceAll(/\s+/g, ' ').trim()];
}

// Rule 3

const COMPARE_BY_BRAND =
  'Compare a mark that all copies share, as in lib/common/brand.ts, or the shape of the value.';

/** @param {readonly ts.Node[]} nodes @returns {Iterable<Finding>} */
function* findComparisons(nodes) {
  for (const node of nodes) {
    const type = comparedClass(node);
    if (type === undefined || !/^[A-Z]/.test(textOf(type)) || COMPARABLE_CLASSES.includes(textOf(type)))
      continue;
    yield {
      node: type,
      text: `"${textOf(type)}" may be of another copy of its package. ${COMPARE_BY_BRAND}`,
    };
  }
}

/** Returns the class of `x instanceof Class` or `v.instance(Class)`. @param {ts.Node} node @returns {ts.Node | undefined} */
function comparedClass(node) {
  if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.InstanceOfKeyword)
    return ts.isPropertyAccessExpression(node.right) ? node.right.name : node.right;
  return ts.isCallExpression(node) && calleeOf(node).endsWith('.instance') ? node.arguments[0] : undefined;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const internals = JSON.parse(fs.readFileSync(`${DOOR}internals.json`, 'utf8'));
  const files = fs.readdirSync('lib', { recursive: true, encoding: 'utf8' }).toSorted();
  const findings = files
    .filter((file) => file.endsWith('.ts'))
    .map((file) => `lib/${file.replaceAll(path.sep, '/')}`)
    .flatMap((file) => checkSource(file, fs.readFileSync(file, 'utf8'), internals));
  for (const finding of findings) console.log(finding);
  if (findings.length > 0) process.exitCode = 1;
}
