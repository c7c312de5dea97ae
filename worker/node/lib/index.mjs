import gosuper from './index.cjs';

export const { listen, recycle, request, draining, worker } = gosuper;
export default gosuper;
