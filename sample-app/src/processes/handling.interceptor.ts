import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import { Injectable } from '@nestjs/common';
import { PGPUBSUB_CONTEXT, type Notification } from 'nestjs-pgpubsub';
import { concatMap, from, type Observable } from 'rxjs';
import { settings } from '../settings.js';
import { Handling } from './handling.entity.js';

/**
 * Records each handled notification in the transaction that acknowledges it, and so exactly once.
 */
@Injectable()
export class HandlingInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (context.getType<string>() !== PGPUBSUB_CONTEXT) return next.handle();
    const notification = context.switchToRpc().getContext<Notification>();
    if (notification.id === null) return next.handle(); // a broadcast
    return from(record(notification, notification.id)).pipe(concatMap(() => next.handle()));
  }
}

/** Inserts the record. A failure of the listener rolls it back. */
const record = ({ channel, attempt, manager }: Notification, notificationId: string): Promise<unknown> =>
  manager.insert(Handling, { process: settings.processName, channel, notificationId, attempt });
