import gosuper from './index.cjs';

export const { listen, draining, worker } = gosuper;
export default gosuper;
