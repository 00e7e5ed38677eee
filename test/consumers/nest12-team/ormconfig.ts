import { withPgPubSub } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { OrderToPrint } from './src/orders.channels.js';
import { createTypeOrmOptions } from './src/typeorm.options.js';

/** For TypeORM's command line. The application has another one. */
export default withPgPubSub(new DataSource(createTypeOrmOptions()), { channels: [OrderToPrint] });
