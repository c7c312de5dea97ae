import gosuper from './index.cjs';

export const { listen, recycle, draining, worker } = gosuper;
export default gosuper;
