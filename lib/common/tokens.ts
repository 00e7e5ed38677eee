import { DEFAULT_NAME } from './options.js';

/** Internal: an `Instance`. Each registration of the module provides its own under this token. */
export const INSTANCE = Symbol('nestjs-pgpubsub:instance');

export const DATA_SOURCE = Symbol('nestjs-pgpubsub:data-source');
export const RESOLVED_OPTIONS = Symbol('nestjs-pgpubsub:options');

/**
 * Internal: the `ListenerSelection` of a program that runs the application in place of its main
 * program. Shared by all copies of the package: the command line may use another one than the
 * application.
 */
export const LISTENER_SELECTION = Symbol.for('nestjs-pgpubsub:listener-selection');

/** Returns the token of a DataSource as @nestjs/typeorm builds it, which need not be installed. */
export const namedDataSourceToken = (name: string): string => `${name}DataSource`;

export const namedPubSubToken = (name: string): string => `PgPubSub:${name}`;

export const isDefaultName = (name: string | undefined): boolean =>
  name === undefined || name === DEFAULT_NAME;
