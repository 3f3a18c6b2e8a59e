import { createContext, useContext } from "solid-js";
import type { Player } from "./player";

const PlayerContext = createContext<Player>();
export const PlayerProvider = PlayerContext.Provider;

export function usePlayer(): Player {
  const player = useContext(PlayerContext);
  if (player === undefined) throw new Error("there is no player around this component");
  return player;
}
