export type GeneratedAlbum = [artist: string, title: string, year: number, genre: string, format: string, from: string, to: string, tracks: string[]];
export const albums: GeneratedAlbum[];
export function writeAlbum(dir: string, album: GeneratedAlbum): Promise<void>;
export function writeLibrary(dir: string): Promise<void>;
export const seconds: number;
