import { quoteQualified } from '../common/sql-identifier.js';
import { finding, type Finding } from './finding.js';
import { commentOf } from './owner.js';
import type { FoundFunction } from './storage.catalog.js';
import { VERSION_FUNCTION } from './storage.sql.js';
import type { Step } from './step.js';
import {
  commentOnFunction,
  createStorageFunction,
  dropStorageFunction,
  functionIdentity,
  type StorageFunction,
} from './storage-function.sql.js';

/** Everything by which a function differs from what is wanted. */
export function functionFindings(
  schema: string,
  wanted: StorageFunction,
  found: FoundFunction | undefined,
  { owner, isForeign }: { owner: string; isForeign: boolean },
): Finding[] {
  const name = `function ${schema}.${wanted.name}`;
  const create = createSteps(schema, wanted, found, owner);
  if (found === undefined) return [finding('missing', name, create)];
  // Another owner has a list of migrations of its own.
  const sameBody = found.body === wanted.body || (isForeign && wanted.name === VERSION_FUNCTION);
  if (sameBody && isSame(wanted, found) && found.comment === commentOf(owner)) return [];
  if (canReplace(wanted, found)) return [finding('drifted', name, create)];
  return [
    finding('drifted', name, [...dropFunctionSteps(found), ...createSteps(schema, wanted, undefined, owner)]),
  ];
}

function isSame(wanted: StorageFunction, found: FoundFunction): boolean {
  const settings = wanted.settings.map(([name, value]) => `${name}=${value}`);
  return (
    canReplace(wanted, found) &&
    found.parameters === wanted.parameters &&
    found.language === 'plpgsql' &&
    found.volatility === wanted.volatility &&
    found.plain &&
    JSON.stringify(found.settings ?? []) === JSON.stringify(settings)
  );
}

/** PostgreSQL replaces neither the type of the result, nor names of parameters, nor does it take defaults away. */
const canReplace = (wanted: StorageFunction, found: FoundFunction): boolean =>
  found.result === wanted.result && found.parameters === wanted.parameters;

/** Created anew, or replaced; `down` restores what was there, to the letter. */
function createSteps(
  schema: string,
  wanted: StorageFunction,
  found: FoundFunction | undefined,
  owner: string,
): Step[] {
  const identity = functionIdentity(schema, wanted);
  return [
    ...(found ? [{ down: commentOnFunction(identity, found.comment) }] : []),
    { up: createStorageFunction(schema, wanted), down: found?.definition ?? dropStorageFunction(identity) },
    { up: commentOnFunction(identity, commentOf(owner)) },
  ];
}

export function dropFunctionSteps({ schema, name, types, comment, definition }: FoundFunction): Step[] {
  const identity = `${quoteQualified(schema, name)}(${types})`;
  return [
    { up: dropStorageFunction(identity), down: commentOnFunction(identity, comment) },
    { down: definition },
  ];
}
