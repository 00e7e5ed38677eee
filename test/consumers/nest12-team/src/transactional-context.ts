import { initializeTransactionalContext } from 'typeorm-transactional';

initializeTransactionalContext();
