import { convergence } from "./convergence.ts";

convergence(2, 120, 1);
