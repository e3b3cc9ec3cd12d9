import { convergence } from "./convergence.ts";

convergence(2, 72, 1);
