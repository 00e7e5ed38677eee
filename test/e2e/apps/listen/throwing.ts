import { Logger } from '@nestjs/common';

new Logger('Throwing').log('It loads');
throw new Error('it does not load');
