import { withPgPubSub } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { OrderToPrint } from './src/orders.channels.js';
import { createTypeOrmOptions } from './src/typeorm.options.js';

/** Only for TypeORM's command line; the application creates its own DataSource. */
export default withPgPubSub(new DataSource(createTypeOrmOptions()), { channels: [OrderToPrint] });
