import 'dotenv/config';
import { withPgPubSub } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { createTypeOrmOptions } from './typeorm.options';

/** Only for TypeORM's command line; the application creates its own DataSource. */
export default withPgPubSub(new DataSource(createTypeOrmOptions(process.env.DATABASE_URL ?? '')));
