import { createNotificationStorage, dropNotificationStorage } from 'nestjs-pgpubsub';
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class NotifyChanges1795233534017 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      `CREATE TABLE "edition" ("id" integer GENERATED ALWAYS AS IDENTITY NOT NULL, "is_jammed" boolean NOT NULL DEFAULT false, "printed_at" TIMESTAMP WITH TIME ZONE, CONSTRAINT "PK_059549460a1473d4477f2f041ff" PRIMARY KEY ("id"))`,
    );
    await queryRunner.query(
      `CREATE TABLE "handling" ("id" integer GENERATED ALWAYS AS IDENTITY NOT NULL, "process" text NOT NULL, "channel" text NOT NULL, "notification_id" bigint NOT NULL, "attempt" integer NOT NULL, "handled_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(), CONSTRAINT "PK_9f4b5884b24f93e33ca093acb9a" PRIMARY KEY ("id"))`,
    );
    await queryRunner.query(
      `CREATE TABLE "reads_per_day" ("date" date NOT NULL, "reads" integer NOT NULL DEFAULT '0', CONSTRAINT "PK_f5b32cb5cd9b893827397abf79d" PRIMARY KEY ("date"))`,
    );
    await createNotificationStorage(queryRunner, { version: 1 });
    await queryRunner.query(`create trigger "_pgpubsub_author_insert" after insert on "public"."author"
  for each row execute function "public"."pgpubsub_store"('public.migrations', 'author', 'public', 'author', 'notify')`);
    await queryRunner.query(`create trigger "_pgpubsub_author_feed_insert" after insert on "public"."author"
  for each row execute function "public"."pgpubsub_broadcast"('public.migrations', 'author_feed', 'public', 'author', 'id')`);
    await queryRunner.query(`create trigger "_pgpubsub_author_feed_update" after update on "public"."author"
  for each row when (old.* operator(pg_catalog.*<>) new.*) execute function "public"."pgpubsub_broadcast"('public.migrations', 'author_feed', 'public', 'author', 'id')`);
    await queryRunner.query(`create trigger "_pgpubsub_author_feed_delete" after delete on "public"."author"
  for each row execute function "public"."pgpubsub_broadcast"('public.migrations', 'author_feed', 'public', 'author', 'id')`);
    await queryRunner.query(`create trigger "_pgpubsub_post_insert" after insert on "public"."post"
  for each row execute function "public"."pgpubsub_broadcast"('public.migrations', 'post', 'public', 'post', 'id')`);
    await queryRunner.query(`create trigger "_pgpubsub_edition_insert" after insert on "public"."edition"
  for each row execute function "public"."pgpubsub_broadcast"('public.migrations', 'edition', 'public', 'edition', 'id')`);
    await queryRunner.query(`create trigger "_pgpubsub_edition_update" after update on "public"."edition"
  for each row when (old.* operator(pg_catalog.*<>) new.*) execute function "public"."pgpubsub_broadcast"('public.migrations', 'edition', 'public', 'edition', 'id')`);
    await queryRunner.query(`create trigger "_pgpubsub_edition_delete" after delete on "public"."edition"
  for each row execute function "public"."pgpubsub_broadcast"('public.migrations', 'edition', 'public', 'edition', 'id')`);
    await queryRunner.query(`create trigger "_pgpubsub_handling_insert" after insert on "public"."handling"
  for each row execute function "public"."pgpubsub_broadcast"('public.migrations', 'handling', 'public', 'handling', 'id')`);
    await queryRunner.query(`create trigger "_pgpubsub_reads_per_day_update" after update on "public"."reads_per_day"
  for each row when (old.* operator(pg_catalog.*<>) new.*) execute function "public"."pgpubsub_broadcast"('public.migrations', 'reads_per_day', 'public', 'reads_per_day', 'date')`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`drop trigger "_pgpubsub_reads_per_day_update" on "public"."reads_per_day"`);
    await queryRunner.query(`drop trigger "_pgpubsub_handling_insert" on "public"."handling"`);
    await queryRunner.query(`drop trigger "_pgpubsub_edition_delete" on "public"."edition"`);
    await queryRunner.query(`drop trigger "_pgpubsub_edition_update" on "public"."edition"`);
    await queryRunner.query(`drop trigger "_pgpubsub_edition_insert" on "public"."edition"`);
    await queryRunner.query(`drop trigger "_pgpubsub_post_insert" on "public"."post"`);
    await queryRunner.query(`drop trigger "_pgpubsub_author_feed_delete" on "public"."author"`);
    await queryRunner.query(`drop trigger "_pgpubsub_author_feed_update" on "public"."author"`);
    await queryRunner.query(`drop trigger "_pgpubsub_author_feed_insert" on "public"."author"`);
    await queryRunner.query(`drop trigger "_pgpubsub_author_insert" on "public"."author"`);
    await dropNotificationStorage(queryRunner);
    await queryRunner.query(`DROP TABLE "reads_per_day"`);
    await queryRunner.query(`DROP TABLE "handling"`);
    await queryRunner.query(`DROP TABLE "edition"`);
  }
}
