import { convergence } from "./convergence.ts";

convergence(2, 110, 1);
