import { Body, Controller, NotFoundException, Param, Post } from '@nestjs/common';
import { z } from 'zod';
import type { Edition } from './edition.entity.js';
import { PrintingService } from './printing.service.js';

const NewEdition = z.object({ isJammed: z.boolean() });
const EditionId = z
  .string()
  .regex(/^\d{1,9}$/, 'the id of an edition must be a whole number, such as 1')
  .transform(Number);

@Controller('editions')
export class EditionsController {
  constructor(private readonly printing: PrintingService) {}

  @Post()
  order(@Body({ schema: NewEdition }) { isJammed }: z.infer<typeof NewEdition>): Promise<Edition> {
    return this.printing.order(isJammed);
  }

  @Post(':id/repairs')
  async repair(@Param('id', { schema: EditionId }) id: number): Promise<{ retried: number }> {
    const repaired = await this.printing.repair(id);
    if (repaired === null) throw new NotFoundException(`edition ${id} has no dead letter`);
    return repaired;
  }
}
