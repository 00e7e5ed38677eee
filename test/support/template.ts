import { createHash } from 'node:crypto';
import type pg from 'pg';
import { urlOf, withClient } from './client.js';

const PREFIX = 'pgpubsub_template_';

/**
 * Resolves to the name of a template database that contains the result of the statements. The first
 * file that needs it prepares it; files in other processes wait until it exists.
 */
export const templateWith = (serverUrl: string, statements: readonly string[]): Promise<string> =>
  withClient(serverUrl, async (server) => {
    const name = PREFIX + createHash('md5').update(statements.join(';')).digest('hex');
    if (await isPrepared(server, name)) return name;
    await server.query('select pg_advisory_lock(hashtext($1))', [name]); // held until the client ends
    if (await isPrepared(server, name)) return name;
    await server.query(`drop database if exists ${name}`); // left by a failed preparation
    await server.query(`create database ${name}`);
    await withClient(urlOf(serverUrl, name), (client) => client.query(statements.join(';\n')));
    await server.query(`alter database ${name} is_template true`);
    return name;
  });

const isPrepared = async (server: pg.Client, name: string): Promise<boolean> =>
  (await server.query('select from pg_database where datname = $1 and datistemplate', [name])).rowCount === 1;

/** Drops the templates of a server that outlives the test run. */
export const dropTemplates = (serverUrl: string): Promise<void> =>
  withClient(serverUrl, async (server) => {
    const sql = 'select datname as name from pg_database where starts_with(datname, $1)';
    const { rows } = await server.query<{ name: string }>(sql, [PREFIX]);
    for (const { name } of rows) {
      await server.query(`alter database ${name} is_template false`);
      await server.query(`drop database ${name}`);
    }
  });
