import { convergence } from "./convergence.ts";

convergence(3, 36, 1001);
