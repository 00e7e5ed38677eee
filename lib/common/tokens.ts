import { DEFAULT_NAME } from './options.js';

/** Internal: an `Instance`. Each registration of the module has its own under the same token. */
export const INSTANCE = Symbol('nestjs-pgpubsub:instance');

export const DATA_SOURCE = Symbol('nestjs-pgpubsub:data-source');
export const RESOLVED_OPTIONS = Symbol('nestjs-pgpubsub:options');

/**
 * Internal: the `ListenerSelection` of whoever runs the application in place of its own main program. Shared by all
 * installed copies: the command line's need not be the application's.
 */
export const LISTENER_SELECTION = Symbol.for('nestjs-pgpubsub:listener-selection');

/** The names @nestjs/typeorm gives to DataSources, so that it need not be installed. */
export const namedDataSourceToken = (name: string): string => `${name}DataSource`;

export const namedPubSubToken = (name: string): string => `PgPubSub:${name}`;

export const isDefaultName = (name: string | undefined): boolean =>
  name === undefined || name === DEFAULT_NAME;
