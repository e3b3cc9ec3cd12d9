import { convergence } from "./convergence.ts";

convergence(3, 100, 1001);
