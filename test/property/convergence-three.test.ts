import { convergence } from "./convergence.ts";

convergence(3, 80, 1001);
