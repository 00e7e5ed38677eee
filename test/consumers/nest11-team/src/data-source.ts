import 'dotenv/config';
import { withPgPubSub } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { createTypeOrmOptions } from './typeorm.options';

/** For TypeORM's command line. The application has another one. */
export default withPgPubSub(new DataSource(createTypeOrmOptions(process.env.DATABASE_URL ?? '')));
