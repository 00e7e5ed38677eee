import {
  Inject,
  Injectable,
  Optional,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { DiscoveryService, LazyModuleLoader, ModulesContainer } from '@nestjs/core';
import { INSTANCE, LISTENER_SELECTION } from '../common/tokens.js';
import { ListenerExplorer } from '../listeners/listener.explorer.js';
import { afterBootstrap } from './application-start.js';
import { ChannelFeature } from './channel-feature.js';
import { Instance } from './instance.js';
import { assertInstance, assertUnique } from './instance-names.js';
import { listedListeners, type ListenerSelection } from './listener-selection.js';

/**
 * Passes Nest's lifecycle on to an instance. One provider has all hooks, because Nest 11 runs the
 * hooks of a module's providers at the same time.
 */
@Injectable()
export class PubSubLifecycle implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy {
  constructor(
    @Inject(INSTANCE) private readonly instance: Instance,
    @Inject(ListenerExplorer) private readonly explorer: ListenerExplorer,
    @Inject(DiscoveryService) private readonly discovery: DiscoveryService,
    @Inject(ModulesContainer) private readonly modules: ModulesContainer,
    @Inject(LazyModuleLoader) private readonly lazyModules: LazyModuleLoader,
    @Optional() @Inject(LISTENER_SELECTION) private readonly selection?: ListenerSelection,
  ) {}

  async onModuleInit(): Promise<void> {
    const { name, options, registry, report } = this.instance;
    const names = this.found(Instance).map((instance) => instance.name);
    assertUnique(name, names);
    const features = this.found(ChannelFeature);
    for (const { instance } of features) assertInstance(instance, names, 'forFeature()');
    const channels = features.filter(({ instance }) => instance === name).flatMap((own) => own.channels);
    const { globalEnhancers } = options;
    const assertKnown = (given: string, method: string) => assertInstance(given, names, method);
    await this.instance.initialize(channels, () => {
      this.explorer.watchLazyModules(this.lazyModules, { name, report });
      return this.explorer.explore({ name, globalEnhancers, registry, report, assertInstance: assertKnown });
    });
  }

  /** Starts the instance after every `onModuleInit`: providers are ready for notifications. */
  async onApplicationBootstrap(): Promise<void> {
    const instances = this.found(Instance);
    try {
      const { listeners } = await this.instance.discovered();
      const chosen = this.selection
        ? await this.selection.chosenOf(this.instance, instances)
        : listedListeners(this.instance, listeners);
      await this.instance.start(chosen); // no deadline: opens the LISTEN connection, which limits itself
      afterBootstrap(this.modules, () => void this.instance.claim());
    } catch (error) {
      await Promise.all(instances.map((instance) => instance.stop())); // Nest runs no destroy hooks after a failed start
      throw error;
    }
  }

  /**
   * Stops before TypeORM closes its pool and Nest its server; completed subjects end open
   * responses.
   */
  async onModuleDestroy(): Promise<void> {
    await this.instance.stop();
  }

  private found<T>(type: abstract new (...args: never[]) => T): T[] {
    const providers = this.discovery.getProviders().filter(({ isAlias }) => !isAlias);
    const instances = providers.map((wrapper): unknown => wrapper.instance);
    return instances.filter((instance): instance is T => instance instanceof type);
  }
}
