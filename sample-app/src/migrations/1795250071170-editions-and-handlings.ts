import type { MigrationInterface, QueryRunner } from 'typeorm';

export class EditionsAndHandlings1795250071170 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
            CREATE TABLE "edition" (
                "id" integer GENERATED ALWAYS AS IDENTITY NOT NULL,
                "is_jammed" boolean NOT NULL DEFAULT false,
                "printed_at" TIMESTAMP WITH TIME ZONE,
                CONSTRAINT "PK_059549460a1473d4477f2f041ff" PRIMARY KEY ("id")
            )
        `);
    await queryRunner.query(`
            CREATE TABLE "handling" (
                "id" integer GENERATED ALWAYS AS IDENTITY NOT NULL,
                "process" text NOT NULL,
                "channel" text NOT NULL,
                "notification_id" bigint NOT NULL,
                "attempt" integer NOT NULL,
                "handled_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
                CONSTRAINT "PK_9f4b5884b24f93e33ca093acb9a" PRIMARY KEY ("id")
            )
        `);
    await queryRunner.query(`create or replace function "public"."pgpubsub_edition_edition_94d410a6"() returns trigger language plpgsql set search_path = pg_catalog, pg_temp set datestyle = 'ISO' set intervalstyle = 'postgres' set bytea_output = 'hex' set extra_float_digits = '1' as $pgpubsub$
#variable_conflict use_column
declare
  context text := current_setting('pgpubsub.context', true);
  ending text := '}';
  message text;
begin
  if current_setting('pgpubsub.disabled', true) = 'on' then return null; end if;
  if context <> '' then
    begin
      ending := ',"context":' || context::json || '}';
    exception when others then null; -- not ours: somebody else has set it
    end;
  end if;
  if TG_OP = 'INSERT' and pg_column_size(NEW) between 0 and 125000 then
    message := '{"operation":"insert","schema":"public","table":"edition","old":null' || ',"new":' || coalesce(row_to_json(NEW)::text, 'null') || ending;
    if octet_length(message) > 7999 then
      message := (select case when octet_length(kept) <= 7999 then kept else '{"operation":"insert","schema":"public","table":"edition","old":null' || ',"new":null' || ',"truncated":true}' end
        from (select '{"operation":"insert","schema":"public","table":"edition","old":null' || ',"new":' || coalesce((select replace(json_object_agg(key, value)::text, chr(92) || 'u005cu', chr(92) || 'u')::json from json_each(replace(row_to_json(NEW)::text, chr(92) || 'u', chr(92) || 'u005cu')::json) where key = any(array['id']::text[]))::text, 'null') || ',"truncated":true' || ending as kept offset 0) as pgpubsub_kept);
    end if;
    if pg_notify('edition', message) is null then null; end if;
  elsif TG_OP = 'UPDATE' and pg_column_size(OLD) between 0 and 125000 and pg_column_size(NEW) between 0 and 125000 then
    if not (OLD *<> NEW) then return null; end if;
    message := '{"operation":"update","schema":"public","table":"edition","old":' || coalesce(row_to_json(OLD)::text, 'null') || ',"new":' || coalesce(row_to_json(NEW)::text, 'null') || ending;
    if octet_length(message) > 7999 then
      message := (select case when octet_length(kept) <= 7999 then kept else '{"operation":"update","schema":"public","table":"edition","old":null' || ',"new":null' || ',"truncated":true}' end
        from (select '{"operation":"update","schema":"public","table":"edition","old":' || coalesce((select replace(json_object_agg(key, value)::text, chr(92) || 'u005cu', chr(92) || 'u')::json from json_each(replace(row_to_json(OLD)::text, chr(92) || 'u', chr(92) || 'u005cu')::json) where key = any(array['id']::text[]))::text, 'null') || ',"new":' || coalesce((select replace(json_object_agg(key, value)::text, chr(92) || 'u005cu', chr(92) || 'u')::json from json_each(replace(row_to_json(NEW)::text, chr(92) || 'u', chr(92) || 'u005cu')::json) where key = any(array['id']::text[]))::text, 'null') || ',"truncated":true' || ending as kept offset 0) as pgpubsub_kept);
    end if;
    if pg_notify('edition', message) is null then null; end if;
  elsif TG_OP = 'DELETE' and pg_column_size(OLD) between 0 and 125000 then
    message := '{"operation":"delete","schema":"public","table":"edition","old":' || coalesce(row_to_json(OLD)::text, 'null') || ',"new":null' || ending;
    if octet_length(message) > 7999 then
      message := (select case when octet_length(kept) <= 7999 then kept else '{"operation":"delete","schema":"public","table":"edition","old":null' || ',"new":null' || ',"truncated":true}' end
        from (select '{"operation":"delete","schema":"public","table":"edition","old":' || coalesce((select replace(json_object_agg(key, value)::text, chr(92) || 'u005cu', chr(92) || 'u')::json from json_each(replace(row_to_json(OLD)::text, chr(92) || 'u', chr(92) || 'u005cu')::json) where key = any(array['id']::text[]))::text, 'null') || ',"new":null' || ',"truncated":true' || ending as kept offset 0) as pgpubsub_kept);
    end if;
    if pg_notify('edition', message) is null then null; end if;
  elsif TG_OP = 'INSERT' then
    begin
    message := '{"operation":"insert","schema":"public","table":"edition","old":null' || ',"new":' || coalesce(row_to_json(NEW)::text, 'null') || ending;
    if octet_length(message) > 7999 then raise program_limit_exceeded; end if;
    exception when internal_error or program_limit_exceeded or out_of_memory then
      declare old_key json; new_key json;
      begin
        execute 'select row_to_json(key) from (select ($1)."id") as key' into new_key using NEW;
        message := (select case when octet_length(kept) <= 7999 then kept else '{"operation":"insert","schema":"public","table":"edition","old":null' || ',"new":null' || ',"truncated":true}' end
        from (select '{"operation":"insert","schema":"public","table":"edition","old":null' || ',"new":' || coalesce(new_key::text, 'null') || ',"truncated":true' || ending as kept offset 0) as pgpubsub_kept);
      exception when others then
        message := '{"operation":"insert","schema":"public","table":"edition","old":null' || ',"new":null' || ',"truncated":true}';
      end;
    end;
    if pg_notify('edition', message) is null then null; end if;
  elsif TG_OP = 'UPDATE' then
    begin
    if not (OLD *<> NEW) then return null; end if;
    message := '{"operation":"update","schema":"public","table":"edition","old":' || coalesce(row_to_json(OLD)::text, 'null') || ',"new":' || coalesce(row_to_json(NEW)::text, 'null') || ending;
    if octet_length(message) > 7999 then raise program_limit_exceeded; end if;
    exception when internal_error or program_limit_exceeded or out_of_memory then
      declare old_key json; new_key json;
      begin
        execute 'select row_to_json(key) from (select ($1)."id") as key' into old_key using OLD;
        execute 'select row_to_json(key) from (select ($1)."id") as key' into new_key using NEW;
        message := (select case when octet_length(kept) <= 7999 then kept else '{"operation":"update","schema":"public","table":"edition","old":null' || ',"new":null' || ',"truncated":true}' end
        from (select '{"operation":"update","schema":"public","table":"edition","old":' || coalesce(old_key::text, 'null') || ',"new":' || coalesce(new_key::text, 'null') || ',"truncated":true' || ending as kept offset 0) as pgpubsub_kept);
      exception when others then
        message := '{"operation":"update","schema":"public","table":"edition","old":null' || ',"new":null' || ',"truncated":true}';
      end;
    end;
    if pg_notify('edition', message) is null then null; end if;
  elsif TG_OP = 'DELETE' then
    begin
    message := '{"operation":"delete","schema":"public","table":"edition","old":' || coalesce(row_to_json(OLD)::text, 'null') || ',"new":null' || ending;
    if octet_length(message) > 7999 then raise program_limit_exceeded; end if;
    exception when internal_error or program_limit_exceeded or out_of_memory then
      declare old_key json; new_key json;
      begin
        execute 'select row_to_json(key) from (select ($1)."id") as key' into old_key using OLD;
        message := (select case when octet_length(kept) <= 7999 then kept else '{"operation":"delete","schema":"public","table":"edition","old":null' || ',"new":null' || ',"truncated":true}' end
        from (select '{"operation":"delete","schema":"public","table":"edition","old":' || coalesce(old_key::text, 'null') || ',"new":null' || ',"truncated":true' || ending as kept offset 0) as pgpubsub_kept);
      exception when others then
        message := '{"operation":"delete","schema":"public","table":"edition","old":null' || ',"new":null' || ',"truncated":true}';
      end;
    end;
    if pg_notify('edition', message) is null then null; end if;
  end if;
  return null;
end
$pgpubsub$`);
    await queryRunner.query(
      `comment on function "public"."pgpubsub_edition_edition_94d410a6"() is 'pgpubsub:public.migrations'`,
    );
    await queryRunner.query(
      `create trigger "pgpubsub_edition_edition_94d410a6" after insert or update or delete on "public"."edition" for each row execute function "public"."pgpubsub_edition_edition_94d410a6"()`,
    );
    await queryRunner.query(
      `comment on trigger "pgpubsub_edition_edition_94d410a6" on "public"."edition" is 'pgpubsub:public.migrations'`,
    );
    await queryRunner.query(`create or replace function "public"."pgpubsub_handling_handling_2e9102df"() returns trigger language plpgsql set search_path = pg_catalog, pg_temp set datestyle = 'ISO' set intervalstyle = 'postgres' set bytea_output = 'hex' set extra_float_digits = '1' as $pgpubsub$
#variable_conflict use_column
declare
  context text := current_setting('pgpubsub.context', true);
  ending text := '}';
  message text;
begin
  if current_setting('pgpubsub.disabled', true) = 'on' then return null; end if;
  if context <> '' then
    begin
      ending := ',"context":' || context::json || '}';
    exception when others then null; -- not ours: somebody else has set it
    end;
  end if;
  if TG_OP = 'INSERT' and pg_column_size(NEW) between 0 and 125000 then
    message := '{"operation":"insert","schema":"public","table":"handling","old":null' || ',"new":' || coalesce(row_to_json(NEW)::text, 'null') || ending;
    if octet_length(message) > 7999 then
      message := (select case when octet_length(kept) <= 7999 then kept else '{"operation":"insert","schema":"public","table":"handling","old":null' || ',"new":null' || ',"truncated":true}' end
        from (select '{"operation":"insert","schema":"public","table":"handling","old":null' || ',"new":' || coalesce((select replace(json_object_agg(key, value)::text, chr(92) || 'u005cu', chr(92) || 'u')::json from json_each(replace(row_to_json(NEW)::text, chr(92) || 'u', chr(92) || 'u005cu')::json) where key = any(array['id']::text[]))::text, 'null') || ',"truncated":true' || ending as kept offset 0) as pgpubsub_kept);
    end if;
    if pg_notify('handling', message) is null then null; end if;
  elsif TG_OP = 'INSERT' then
    begin
    message := '{"operation":"insert","schema":"public","table":"handling","old":null' || ',"new":' || coalesce(row_to_json(NEW)::text, 'null') || ending;
    if octet_length(message) > 7999 then raise program_limit_exceeded; end if;
    exception when internal_error or program_limit_exceeded or out_of_memory then
      declare old_key json; new_key json;
      begin
        execute 'select row_to_json(key) from (select ($1)."id") as key' into new_key using NEW;
        message := (select case when octet_length(kept) <= 7999 then kept else '{"operation":"insert","schema":"public","table":"handling","old":null' || ',"new":null' || ',"truncated":true}' end
        from (select '{"operation":"insert","schema":"public","table":"handling","old":null' || ',"new":' || coalesce(new_key::text, 'null') || ',"truncated":true' || ending as kept offset 0) as pgpubsub_kept);
      exception when others then
        message := '{"operation":"insert","schema":"public","table":"handling","old":null' || ',"new":null' || ',"truncated":true}';
      end;
    end;
    if pg_notify('handling', message) is null then null; end if;
  end if;
  return null;
end
$pgpubsub$`);
    await queryRunner.query(
      `comment on function "public"."pgpubsub_handling_handling_2e9102df"() is 'pgpubsub:public.migrations'`,
    );
    await queryRunner.query(
      `create trigger "pgpubsub_handling_handling_2e9102df" after insert on "public"."handling" for each row execute function "public"."pgpubsub_handling_handling_2e9102df"()`,
    );
    await queryRunner.query(
      `comment on trigger "pgpubsub_handling_handling_2e9102df" on "public"."handling" is 'pgpubsub:public.migrations'`,
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`drop trigger "pgpubsub_handling_handling_2e9102df" on "public"."handling"`);
    await queryRunner.query(`drop function "public"."pgpubsub_handling_handling_2e9102df"()`);
    await queryRunner.query(`drop trigger "pgpubsub_edition_edition_94d410a6" on "public"."edition"`);
    await queryRunner.query(`drop function "public"."pgpubsub_edition_edition_94d410a6"()`);
    await queryRunner.query(`
            DROP TABLE "handling"
        `);
    await queryRunner.query(`
            DROP TABLE "edition"
        `);
  }
}
