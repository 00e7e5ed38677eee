/** The only page: what this is, what to try, and the feed as it happens. Nothing is loaded from elsewhere. */
export const renderPage = (
  url: string,
  databaseUrl: string,
  channels: readonly string[],
): string => `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Newsroom: nestjs-pgpubsub</title>
    <link rel="icon" href="data:," />
    <style>
      :root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
      body { max-width: 46rem; margin: 0 auto; padding: 1rem 1rem 4rem; }
      pre, #feed { padding: 0.75rem; border: 1px solid; border-radius: 0.25rem; overflow-x: auto; }
      #feed { min-height: 1.5rem; list-style: none; }
      #feed li { overflow-wrap: anywhere; }
    </style>
  </head>
  <body>
    <main>
      <h1>Newsroom</h1>
      <p>
        A small application that uses its PostgreSQL database as its message system, with
        <code>nestjs-pgpubsub</code>. Start a second process on the same database (the terminal says how): what
        happens in one shows in both.
      </p>

      <h2>What to try</h2>
      <p>Create an author. One of the processes writes the first post, exactly once, even if it is killed while it does.</p>
      <pre tabindex="0"><code>curl -X POST ${url}/authors -H 'content-type: application/json' -d '{"name":"Ada"}'</code></pre>
      <p>Change one with any other program: the table itself notifies. So it does when you insert one.</p>
      <pre tabindex="0"><code>psql '${databaseUrl}' -c "update author set name = upper(name) where id = 1"</code></pre>
      <p>Read the post twice. The second answer comes from the cache of this process: <code>x-cache: hit</code>.</p>
      <pre tabindex="0"><code>curl -i ${url}/posts/1</code></pre>
      <p>Change it, in either process. Both drop it from their caches: the next answer is a <code>miss</code>.</p>
      <pre tabindex="0"><code>curl -X PATCH ${url}/posts/1 -H 'content-type: application/json' -d '{"content":"News!"}'</code></pre>
      <p>See how many posts were read per day. Each read is stored, and counted by one of the processes, exactly once.</p>
      <pre tabindex="0"><code>curl ${url}/reads</code></pre>
      <p>Ask how it is doing: the LISTEN connection, what is stored, what is dead.</p>
      <pre tabindex="0"><code>curl ${url}/health</code></pre>
      <p>Watch the feed in a terminal.</p>
      <pre tabindex="0"><code>curl -N ${url}/feed</code></pre>

      <h2 id="live">Live</h2>
      <p role="status" id="state">Connecting …</p>
      <div role="log" aria-labelledby="live"><ol id="feed"></ol></div>
    </main>
    <script>
      const SHOWN = 100;
      const state = document.getElementById('state');
      const feed = document.getElementById('feed');
      const source = new EventSource('/feed');
      source.onopen = () => { state.textContent = 'Connected. The newest comes first.'; };
      source.onerror = () => { state.textContent = 'The connection is lost; trying again …'; };
      for (const channel of ${JSON.stringify(channels)}) {
        source.addEventListener(channel, ({ data }) => {
          const item = document.createElement('li');
          item.textContent = new Date().toLocaleTimeString() + ' ' + channel + ' ' + data;
          feed.prepend(item);
          if (feed.children.length > SHOWN) feed.lastElementChild.remove();
        });
      }
    </script>
  </body>
</html>
`;
