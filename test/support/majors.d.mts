export const majors: Record<number, string>;
