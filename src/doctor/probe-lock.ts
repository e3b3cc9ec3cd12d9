/** The bytes of "tandemRT" as a number: who holds this advisory lock in the first node measures a round trip. */
export const probeLock = "8386105358618022484";
