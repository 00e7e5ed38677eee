/** Settings of this session that silence triggers, which a role or a database may have by `alter … set`. */
export const readSilencers = `
  select coalesce(current_setting('pgpubsub.disabled', true), '') = 'on' as disabled,
    current_setting('session_replication_role') as replication_role
`;
