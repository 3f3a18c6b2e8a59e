export const albumPath = (id: string): string => `/album/${encodeURIComponent(id)}`;
export const artistPath = (id: string): string => `/artist/${encodeURIComponent(id)}`;
export const genrePath = (name: string): string => `/genre/${encodeURIComponent(name)}`;
export const folderPath = (id: string): string => `/folders/${encodeURIComponent(id)}`;
export const playlistPath = (id: string): string => `/playlist/${encodeURIComponent(id)}`;
export const similarPath = (id: string): string => `/similar/${encodeURIComponent(id)}`;
