import { ContextIdFactory, DiscoveryService, ModuleRef } from '@nestjs/core';

/** Nest's record of a provider or controller. */
export type InstanceWrapper = ReturnType<DiscoveryService['getProviders']>[number];

export type ContextId = ReturnType<typeof ContextIdFactory.create>;

/**
 * The provider or controller a listener method belongs to: its prototype, and an instance to call, per
 * notification where it (or one of its enhancers) is request-scoped.
 */
export class HostProvider {
  private shared: Promise<object> | undefined;

  private constructor(
    readonly wrapper: InstanceWrapper,
    readonly prototype: object,
  ) {}

  /** `undefined` for what has no methods to decorate: aliases (listed themselves), values, request-scoped factories. */
  static of(wrapper: InstanceWrapper): HostProvider | undefined {
    if (wrapper.isAlias) return undefined;
    const instance: unknown = wrapper.instance;
    // a factory's "metatype" is the factory; a request-scoped class has no instance
    const prototype: unknown = isObject(instance)
      ? Object.getPrototypeOf(instance)
      : wrapper.isNotMetatype
        ? undefined
        : wrapper.metatype?.prototype;
    return isObject(prototype) ? new HostProvider(wrapper, prototype) : undefined;
  }

  get className(): string {
    return this.prototype.constructor.name;
  }

  /** One instance serves all notifications: nothing it depends on is request-scoped. */
  get isStatic(): boolean {
    return this.wrapper.isDependencyTreeStatic();
  }

  /** The instance for all notifications, and for all decorated methods. */
  staticInstance(): Promise<object> {
    return (this.shared ??= this.resolveShared());
  }

  private async resolveShared(): Promise<object> {
    // what stands in the wrapper of a transient provider is a bare prototype
    const instance: unknown = this.wrapper.isTransient
      ? await this.moduleRef().resolve(this.wrapper.token as string, undefined, { strict: true })
      : this.wrapper.instance;
    return instance as object; // it has methods
  }

  /** The instance for one request: `request` is what its providers get for `@Inject(REQUEST)`. */
  async requestInstance(request: object): Promise<{ instance: object; contextId: ContextId }> {
    const contextId: ContextId = ContextIdFactory.getByRequest(request); // applies the application's strategy
    const moduleRef = this.moduleRef();
    moduleRef.registerRequestByContextId(this.requestValue(request, contextId), contextId);
    const instance: object = await moduleRef.resolve(this.wrapper.token as string, contextId, {
      strict: true,
    });
    return { instance, contextId };
  }

  /** As Nest does for HTTP: the strategy's payload alone for durable trees, else added to the request. */
  private requestValue(request: object, { payload }: ContextId): unknown {
    if (this.wrapper.isDependencyTreeDurable()) return payload;
    // not into the notification itself, which other listeners share
    return payload === undefined ? request : Object.assign(Object.create(request) as object, payload);
  }

  private moduleRef(): ModuleRef {
    const found = this.wrapper.host?.getProviderByKey<ModuleRef>(ModuleRef);
    if (!found)
      throw new Error(`expected ${this.className} to be provided by a module, got a wrapper without one`);
    return found.instance;
  }
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
