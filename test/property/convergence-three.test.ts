import { convergence } from "./convergence.ts";

convergence(3, 48, 1001);
