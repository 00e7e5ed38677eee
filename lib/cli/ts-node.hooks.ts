import type { LoadHook, ResolveHook } from 'node:module';

/** The part of ts-node's API that is used here; `service` is the result of `register()`. */
interface TsNode {
  register(options: object): unknown;
  createEsmHooks(service: unknown): { readonly resolve: ResolveHook; readonly load: LoadHook };
}

/**
 * Module hooks, which Node runs in a separate thread. ts-node loads TypeScript, and resolves only
 * what Node cannot, such as `./entity.js` for `entity.ts`: its resolution does not support some
 * patterns in `exports`, such as those of @nestjs/common 12.
 */
let tsNode: ReturnType<TsNode['createEsmHooks']>;

export async function initialize(data: { readonly url: string; readonly options: object }): Promise<void> {
  const { default: runner } = (await import(data.url)) as { default: TsNode }; // CommonJS
  tsNode = runner.createEsmHooks(runner.register(data.options));
}

export const resolve: ResolveHook = async (specifier, context, next) => {
  try {
    return await next(specifier, context);
  } catch {
    return tsNode.resolve(specifier, context, next);
  }
};

export const load: LoadHook = (url, context, next) =>
  /\.[cm]?ts$/.test(url) ? tsNode.load(url, context, next) : next(url, context);
