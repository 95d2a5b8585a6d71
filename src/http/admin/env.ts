/** What a handler of the admin API finds in its context: the request's own variables, and who is asking. */
import type { Context } from 'hono';
import type { Admin } from '../../domain/admin/services.ts';
import type { AppEnv } from '../app-env.ts';

export interface AdminEnv {
  Variables: AppEnv['Variables'] & { admin: Admin };
}

export type AdminContext = Context<AdminEnv>;
