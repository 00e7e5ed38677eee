import { ContextIdFactory, DiscoveryService, ModuleRef } from '@nestjs/core';

/** Nest's record of a provider or controller. */
export type InstanceWrapper = ReturnType<DiscoveryService['getProviders']>[number];

export type ContextId = ReturnType<typeof ContextIdFactory.create>;

/**
 * The provider or controller of a listener method: its prototype, and an instance to call. Each
 * notification gets its own instance if the provider or one of its enhancers is request-scoped.
 */
export class HostProvider {
  private shared: Promise<object> | undefined;

  private constructor(
    readonly wrapper: InstanceWrapper,
    readonly prototype: object,
  ) {}

  /**
   * Returns `undefined` for providers without methods to decorate: aliases (listed themselves),
   * values, request-scoped factories.
   */
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

  /** Whether one instance serves all notifications: none of its dependencies is request-scoped. */
  get isStatic(): boolean {
    return this.wrapper.isDependencyTreeStatic();
  }

  /** Returns the instance for all notifications and all decorated methods. */
  staticInstance(): Promise<object> {
    return (this.shared ??= this.resolveShared());
  }

  private async resolveShared(): Promise<object> {
    // the wrapper of a transient provider holds a bare prototype
    const instance: unknown = this.wrapper.isTransient
      ? await this.moduleRef().resolve(this.wrapper.token as string, undefined, { strict: true })
      : this.wrapper.instance;
    return instance as object; // has methods
  }

  /** Returns the instance for one request; its providers get `request` for `@Inject(REQUEST)`. */
  async requestInstance(request: object): Promise<{ instance: object; contextId: ContextId }> {
    const contextId: ContextId = ContextIdFactory.getByRequest(request); // uses the strategy of the application
    const moduleRef = this.moduleRef();
    moduleRef.registerRequestByContextId(this.requestValue(request, contextId), contextId);
    const instance: object = await moduleRef.resolve(this.wrapper.token as string, contextId, {
      strict: true,
    });
    return { instance, contextId };
  }

  /**
   * Returns the request as Nest does for HTTP: for durable trees the strategy's payload alone, else
   * the request with this payload.
   */
  private requestValue(request: object, { payload }: ContextId): unknown {
    if (this.wrapper.isDependencyTreeDurable()) return payload;
    // other listeners share the notification: extend a copy
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
