// The JSON types of /api/v1, written by delivery/api's tests from the server's own types. Do not edit.

export interface Figure {
  value: number;
  /** How it came to be. */
  label: "measured" | "modelled" | "assumed";
}

export interface Footprint {
  at: string;
  /** The carbon intensity of the grid at present. */
  intensity: GridFigure;
  /** What is known of this process's energy at present. */
  energy: Told;
  /** What that is known from: a plug, the processor's counters of that name, a model; kept where nobody meters at present. */
  meter: "plug" | "psys" | "package" | "core" | "dram" | "model" | "kept";
  embodied: Told;
  network: Told;
  /** Processes whose records are added up. */
  members: number;
  /** The day in UTC. */
  today: Period;
  /** The last 365 days. */
  year: Period;
  /** What would change most, the largest first. */
  levers: Lever[];
}

export interface GridFigure {
  gramsPerKwh: Figure;
  method: string;
  boundary?: string;
  /** constant, file, or the name of a feed. */
  source: string;
  /** To which the value belongs. */
  time?: string;
  /** It is older than it should be. */
  stale?: boolean;
}

export interface Lever {
  name: "idle-watts" | "mobile-codec" | "hours" | "longer-life";
  /** Watts, kbit/s, hours a day, or years. */
  now: Figure;
  then: Figure;
  /** Grams of CO2 equivalent a year. */
  saves: Figure;
  /** The same as a share of what a year of this emits, 0 to 1. */
  part: Figure;
  /** For hours: the hour of the day, in UTC, from which nobody listened. */
  from?: number;
}

export interface Part {
  /** serve is the page and the rest of the process; other is other programs of the machine, and in no sum. */
  component: "stream" | "transcode" | "scan" | "enrich" | "train" | "rooms" | "serve" | "other" | "idle";
  kwh: Figure;
  grams: Figure;
}

export interface Period {
  /** YYYY-MM-DD, in UTC. */
  from: string;
  /** The last day. */
  until: string;
  /** Hours of machines of which the energy is known. */
  coveredHours: number;
  /** The share of the energy that was measured, 0 to 1. */
  measuredPart: number;
  parts: Part[];
  /** All parts but other, and of idle the configured share. */
  kwh: Figure;
  /** Grams of CO2 equivalent of doing something. */
  operational: Figure;
  /** Grams of being there. */
  idle: Figure;
  /** Grams of making the machine, its part for this time. */
  embodied: Figure;
  /** The sum of the three. */
  total: Figure;
  /** Grams that the streams added to the network's; beside the total, which is the machine's. */
  network: Figure;
  /** Grams after the Sustainable Web Design Model, version 4, from nothing but the bytes: a comparison only. */
  comparison: Figure;
  /** Hours of music sent to listeners. */
  streamHours: Figure;
  bytes: Figure;
  /** Different listeners; at least so many where more is true. */
  listeners: number;
  more?: boolean;
  /** Left out while nothing was streamed. */
  score?: Scored;
  /** Grams of the total for each listener. */
  perListener?: Figure;
  /** Hours of music sent to who asks. */
  mine?: Figure;
  /** Grams of the total, by the share of the music sent. */
  myGrams?: Figure;
}

export interface Scored {
  operational: Figure;
  idle: Figure;
  embodied: Figure;
  total: Figure;
  /** Beside the total. */
  network: Figure;
}

export interface Told {
  label: "measured" | "modelled" | "assumed";
  method: string;
  boundary: string;
}

export interface Album {
  id: string;
  name: string;
  sortName?: string;
  /** The whole credit as tagged. */
  artist: string;
  artists: ArtistRef[];
  /** YYYY, YYYY-MM or YYYY-MM-DD, as far as known. */
  date?: string;
  /** Of the first release. */
  originalDate?: string;
  /** Of this release. */
  releaseDate?: string;
  genres?: string[];
  moods?: string[];
  recordLabels?: string[];
  /** Album, EP, Live, … */
  releaseTypes?: string[];
  edition?: string;
  /** Of the release. */
  musicBrainzId?: string;
  compilation?: boolean;
  /** explicit or clean; left out when unknown. */
  explicit?: string;
  /** Of the discs that have one, in order. */
  discTitles?: Disc[];
  /** The codecs of its tracks. */
  formats?: string[];
  trackCount: number;
  durationMs: number;
  /** Bytes of all its originals. */
  size: number;
  /** When the library first had the newest of its tracks. */
  added?: string;
  hasCover: boolean;
  /** None of its files was there when last looked for. */
  missing?: boolean;
  /** The id of its first track's library. */
  library?: string;
  /** Since when the asker has it starred. */
  starred?: string;
  /** The asker's, 1 to 5. */
  rating?: number;
  /** How often the asker played it to the end. */
  playCount?: number;
  /** When the asker last did. */
  played?: string;
}

export interface AlbumReply {
  id: string;
  name: string;
  sortName?: string;
  /** The whole credit as tagged. */
  artist: string;
  artists: ArtistRef[];
  /** YYYY, YYYY-MM or YYYY-MM-DD, as far as known. */
  date?: string;
  /** Of the first release. */
  originalDate?: string;
  /** Of this release. */
  releaseDate?: string;
  genres?: string[];
  moods?: string[];
  recordLabels?: string[];
  /** Album, EP, Live, … */
  releaseTypes?: string[];
  edition?: string;
  /** Of the release. */
  musicBrainzId?: string;
  compilation?: boolean;
  /** explicit or clean; left out when unknown. */
  explicit?: string;
  /** Of the discs that have one, in order. */
  discTitles?: Disc[];
  /** The codecs of its tracks. */
  formats?: string[];
  trackCount: number;
  durationMs: number;
  /** Bytes of all its originals. */
  size: number;
  /** When the library first had the newest of its tracks. */
  added?: string;
  hasCover: boolean;
  /** None of its files was there when last looked for. */
  missing?: boolean;
  /** The id of its first track's library. */
  library?: string;
  /** Since when the asker has it starred. */
  starred?: string;
  /** The asker's, 1 to 5. */
  rating?: number;
  /** How often the asker played it to the end. */
  playCount?: number;
  /** When the asker last did. */
  played?: string;
  /** In order of disc and number. */
  tracks: Track[];
}

export interface AlbumWindow {
  /** How long the whole list is. */
  total: number;
  /** Where in it these items begin. */
  offset: number;
  items: Album[];
}

export interface AppKey {
  id: string;
  name: string;
  created: string;
  /** To the hour; left out when never. */
  lastUsed?: string;
}

export interface AppKeyItems {
  items: AppKey[];
}

export interface Artist {
  id: string;
  name: string;
  sortName?: string;
  musicBrainzId?: string;
  /** albumartist, artist, composer, … */
  roles?: string[];
  /** Albums on which they are an album artist. */
  albumCount: number;
  trackCount: number;
  hasCover: boolean;
  /** Since when the asker has it starred. */
  starred?: string;
  /** The asker's, 1 to 5. */
  rating?: number;
  /** How often the asker played it to the end. */
  playCount?: number;
  /** When the asker last did. */
  played?: string;
}

export interface ArtistRef {
  /** The artist's id. */
  id: string;
  name: string;
}

export interface ArtistReply {
  id: string;
  name: string;
  sortName?: string;
  musicBrainzId?: string;
  /** albumartist, artist, composer, … */
  roles?: string[];
  /** Albums on which they are an album artist. */
  albumCount: number;
  trackCount: number;
  hasCover: boolean;
  /** Since when the asker has it starred. */
  starred?: string;
  /** The asker's, 1 to 5. */
  rating?: number;
  /** How often the asker played it to the end. */
  playCount?: number;
  /** When the asker last did. */
  played?: string;
  /** Of which they are an album artist, newest last. */
  albums: Album[];
  /** On which they only appear. */
  appearsOn: Album[];
}

export interface ArtistWindow {
  /** How long the whole list is. */
  total: number;
  /** Where in it these items begin. */
  offset: number;
  items: Artist[];
}

export interface AverageIntensity {
  location: string;
  startTime: string;
  endTime: string;
  /** g/kWh. */
  carbonIntensity: number;
}

export interface Bookmark {
  track: Track;
  positionMs: number;
  comment?: string;
  created: string;
  changed: string;
}

export interface BookmarkEdit {
  positionMs: number;
  comment?: string;
}

export interface BookmarkItems {
  items: Bookmark[];
}

export interface ClockReport {
  /** synchronised; holdover where no time server was heard for a while; else unsynchronised. */
  state: string;
  /** Why it is not synchronised, for a person. */
  reason?: string;
  /** What it shows. */
  time: string;
  /** Microseconds from the machine's clock to the time it shows: positive where the machine is behind. */
  offsetUs: number;
  /** The most that it can be wrong by; left out where nothing is known. */
  boundUs?: number;
  /** By how much the machine's oscillator is slow, in parts per million. */
  skewPpm: number;
  sources: ClockSource[];
  /** What it showed whenever a source was asked, oldest first, back to the server's start; at most 512. */
  history: ClockSample[];
}

export interface ClockSample {
  at: string;
  offsetUs: number;
  boundUs?: number;
}

export interface ClockSource {
  name: string;
  /** The clock follows it. */
  selected?: boolean;
  /** Why not, for a person. */
  rejected?: string;
  stratum: number;
  /** From the time that the clock shows to what this source says. */
  offsetUs: number;
  /** The most that the source can be wrong by. */
  boundUs?: number;
  /** Of the last exchange, both ways. */
  delayUs: number;
  /** How often it is asked, in seconds. */
  pollS: number;
  /** Seconds since its last answer; left out where there was none. */
  heardS?: number;
  asked: number;
  /** How many of the answers were of use. */
  good: number;
}

export interface Contributor {
  /** composer, conductor, performer, … */
  role: string;
  /** Narrows the role: a performer's instrument. */
  subRole?: string;
  artist: ArtistRef;
}

export interface Counts {
  tracks: number;
  albums: number;
  artists: number;
  genres: number;
  /** Tracks whose file was not there when last looked for. */
  missing: number;
  durationMs: number;
  /** Bytes of all originals. */
  size: number;
  lastScan?: string;
}

export interface DecidedReply {
  /** The suggestions as they are now; those that are not there any more are left out. */
  items: Suggestion[];
}

export interface Decision {
  id: string;
  /** open takes back what was decided. */
  state: "open" | "accepted" | "edited" | "rejected";
  /** Of edited: the values, for each of the suggestion's changes. */
  after?: string[][];
}

export interface Decisions {
  decisions: Decision[];
}

export interface Disc {
  /** From 1. */
  disc: number;
  title: string;
}

export interface Emissions {
  location: string;
  time: string;
  /** g/kWh. */
  rating: number;
  /** hh:mm:ss. */
  duration: string;
}

export interface EmissionsForecast {
  generatedAt: string;
  requestedAt: string;
  location: string;
  dataStartAt: string;
  dataEndAt: string;
  /** Minutes. */
  windowSize: number;
  optimalDataPoints: EmissionsForecastPoint[];
  forecastData: EmissionsForecastPoint[];
}

export interface EmissionsForecastPoint {
  location: string;
  timestamp: string;
  /** Minutes. */
  duration: number;
  /** g/kWh. */
  value: number;
}

export interface Folder {
  id: string;
  /** Left out for a library's root. */
  parentId?: string;
  /** Its library's id. */
  library: string;
  name: string;
  /** Within its library; a dot is the root. */
  path: string;
  hasCover: boolean;
  /** Since when the asker has it starred. */
  starred?: string;
  /** The asker's, 1 to 5. */
  rating?: number;
  /** How often the asker played it to the end. */
  playCount?: number;
  /** When the asker last did. */
  played?: string;
}

export interface FolderItems {
  items: Folder[];
}

export interface FolderReply {
  id: string;
  /** Left out for a library's root. */
  parentId?: string;
  /** Its library's id. */
  library: string;
  name: string;
  /** Within its library; a dot is the root. */
  path: string;
  hasCover: boolean;
  /** Since when the asker has it starred. */
  starred?: string;
  /** The asker's, 1 to 5. */
  rating?: number;
  /** How often the asker played it to the end. */
  playCount?: number;
  /** When the asker last did. */
  played?: string;
  /** From the library's root down to the parent. */
  parents: Folder[];
  folders: Folder[];
  tracks: Track[];
}

export interface Gain {
  /** dB to add so that the track is at -18 LUFS (ReplayGain 2.0). */
  track?: number;
  /** dB to add so that the album is at -18 LUFS. */
  album?: number;
  /** Linear; 1 is full scale. */
  trackPeak?: number;
  /** Linear; 1 is full scale. */
  albumPeak?: number;
  /** dB; an Opus header's output gain, already in the decoded signal. */
  base?: number;
}

export interface Genre {
  name: string;
  trackCount: number;
  albumCount: number;
  /** Up to four of its albums that have a picture. */
  covers: string[];
}

export interface GenreItems {
  items: Genre[];
}

export interface GridPoint {
  from: string;
  to: string;
  gramsPerKwh: number;
  /** Predicted, not what was. */
  forecast?: boolean;
}

export interface GridReply {
  /** Whose figures these are. */
  source: string;
  /** What one kWh more would emit, where others tell the mean of all. */
  marginal?: boolean;
  /** Now. */
  gramsPerKwh: number;
  label: "measured" | "modelled" | "assumed";
  /** How the figure was found. */
  method: string;
  /** To which it belongs. */
  time?: string;
  /** It is older than two hours: the feed does not answer. */
  stale?: boolean;
  /** What is known and predicted, in order; empty where nothing is. */
  outlook: GridPoint[];
  /** Why there is no outlook, for a person. */
  problem?: string;
}

export interface ImportReply {
  playlist: PlaylistReply;
  /** The entries for which no track was found, in order. */
  missing: NotFound[];
}

export interface Job {
  name: string;
  kind: "analyse" | "outline" | "verify" | "transcode" | "enrich" | "train" | "backup";
  state: "waiting" | "running" | "done" | "failed" | "cancelled" | "interrupted";
  /** The process that has it, in a fleet. */
  node?: string;
  /** What it is estimated to take. */
  joules?: number;
  /** How long it is estimated to run. */
  durationMs: number;
  /** When it was handed over. */
  given: string;
  deadline: string;
  /** When it is to begin, as planned now, or began. */
  start: string;
  ended?: string;
  /** g/kWh while it had run at once, as predicted. */
  atOnce?: number;
  /** g/kWh while it runs as planned, as predicted. */
  chosen?: number;
  /** Of CO2 equivalents: an estimate by a prediction; less than 0 where more. */
  savedGrams?: number;
  /** Whose prediction. */
  source?: string;
  /** In a sentence, why it waits, or ran when it did. */
  why?: string;
  /** What went wrong, for a person. */
  problem?: string;
}

export interface JobsReply {
  /** What runs, and then what waits, by when it is to begin. */
  jobs: Job[];
  /** What has ended, the latest first. */
  history: Job[];
}

export interface Library {
  id: string;
  name: string;
}

export interface LibraryItems {
  items: Library[];
}

export interface Lyrics {
  artist?: string;
  title?: string;
  /** ISO 639; und when unknown. */
  lang: string;
  synced: boolean;
  /** Positive: show earlier. */
  offsetMs?: number;
  lines: LyricsLine[];
}

export interface LyricsCue {
  startMs: number;
  /** Left out when unknown. */
  endMs?: number;
  /** Where in the line's UTF-8 bytes the part begins. */
  from: number;
  /** Where it ends. */
  to: number;
}

export interface LyricsItems {
  items: Lyrics[];
}

export interface LyricsLine {
  /** Only of synced lyrics. */
  startMs?: number;
  text: string;
  /** When its parts are sung. */
  cues?: LyricsCue[];
}

export interface MadeAppKey {
  id: string;
  name: string;
  created: string;
  /** To the hour; left out when never. */
  lastUsed?: string;
  /** What the app is to send. It is shown this once. */
  secret: string;
}

export interface ModelEntry {
  /** The first 64 bits of its file's SHA-256. */
  id: string;
  name: string;
  /** Bytes of its file. */
  size: number;
  /** The one that the operator has chosen: clients that have any do best with it. */
  used: boolean;
}

export interface ModelEntryItems {
  items: ModelEntry[];
}

export interface NewAppKey {
  /** Which app it is for. */
  name: string;
}

export interface NewPassword {
  /** The password until now. */
  current: string;
  /** The new one. */
  password: string;
}

export interface NewRoom {
  name: string;
}

export interface NewShare {
  /** Tracks, albums or playlists, by id. */
  entries: string[];
  description?: string;
  /** Left out for never. */
  expires?: string;
}

export interface NewUser {
  /** What they sign in with; compared without regard to case. */
  name: string;
  password: string;
  email?: string;
  roles: ("admin" | "stream" | "download" | "share" | "playlist" | "cover" | "comment")[];
  /** The ids of the libraries it sees; left out for all. */
  libraries?: string[];
  /** kbit/s; 0 or left out for no limit. */
  maxBitRate?: number;
  scrobbling?: boolean;
}

export interface NotFound {
  /** Which entry of the file, from 1. */
  line: number;
  /** As the file has it. */
  path: string;
  /** Likewise. */
  title?: string;
}

export interface PairStep {
  /** Not needed with a token. */
  player?: string;
  /** The code or the token. Without it the player is asked to show its code, or to take the one that it has. */
  secret?: string;
}

export interface Peaks {
  /** The largest sample of each part of the track, from 0 to 1, which is full scale. */
  points: number[];
  /** The root mean square of each part, likewise. */
  rms: number[];
  /** Of all parts together, which are equally long. */
  durationMs: number;
}

export interface Plan {
  /** Of what is sent: flac, mp3, opus, aac, … */
  codec: string;
  contentType: string;
  /** kbit/s, average; left out where it is not known beforehand. */
  bitRate?: number;
  /** Hz. */
  sampleRate?: number;
  /** Bits a sample, of what is lossless. */
  bitDepth?: number;
  channels?: number;
  /** Bytes; left out while it is not known. */
  size?: number;
  /** The original, bit for bit. */
  original: boolean;
  /** Nothing of the original's sound is lost on the way, and the original is lossless. */
  lossless: boolean;
  /** The first bytes can be sent at once. */
  ready: boolean;
  /** Why it is sent so, for a person. */
  reason: string;
}

export interface Play {
  track: string;
  /** When it ended; left out for now. */
  at?: string;
}

export interface Playing {
  user: string;
  player?: string;
  state: "starting" | "playing" | "paused" | "stopped";
  /** As reported. */
  positionMs: number;
  rate: number;
  reported: string;
  track: Track;
}

export interface PlayingItems {
  items: Playing[];
}

export interface Playlist {
  id: string;
  name: string;
  comment?: string;
  /** The name of whose it is. */
  owner: string;
  /** It is the asker's own. */
  mine: boolean;
  /** Everybody may see it. */
  public: boolean;
  /** It follows a playlist file in a library and cannot be edited. */
  imported?: boolean;
  trackCount: number;
  durationMs: number;
  created?: string;
  changed?: string;
  /** Send it back when replacing the list: a list that changed since is a conflict. */
  version: number;
}

export interface PlaylistEdit {
  name: string;
  comment?: string;
  public?: boolean;
  /** The whole list, by id. */
  tracks: string[];
  /** The version that was edited; left out, the list is replaced whatever it is now. */
  version?: number;
}

export interface PlaylistImport {
  /** Left out, what the file calls itself. */
  name?: string;
  comment?: string;
  public?: boolean;
  /** The file's text. */
  m3u: string;
}

export interface PlaylistItems {
  items: Playlist[];
}

export interface PlaylistReply {
  id: string;
  name: string;
  comment?: string;
  /** The name of whose it is. */
  owner: string;
  /** It is the asker's own. */
  mine: boolean;
  /** Everybody may see it. */
  public: boolean;
  /** It follows a playlist file in a library and cannot be edited. */
  imported?: boolean;
  trackCount: number;
  durationMs: number;
  created?: string;
  changed?: string;
  /** Send it back when replacing the list: a list that changed since is a conflict. */
  version: number;
  tracks: Track[];
}

export interface Plays {
  /** At most 500. */
  plays: Play[];
}

export interface Problem {
  /** The status in words. */
  title: string;
  /** The HTTP status. */
  status: number;
  /** What happened and what to do, for a person. */
  detail: string;
  /** What sort of failure it is, for a program. */
  kind: "internal" | "not-found" | "invalid" | "conflict" | "unauthorised" | "forbidden" | "exhausted" | "unavailable";
  /** Under which id the server's log knows the request. */
  requestId?: string;
}

export interface QueueEdit {
  /** By id; the same track may stand in it twice. */
  tracks: string[];
  /** Which of them plays, from 0; -1 for an empty queue. */
  current: number;
  positionMs?: number;
  /** The app's name. */
  player?: string;
}

export interface QueueEvent {
  /** When; left out where it is not known. */
  changed?: string;
  /** By which app, as it named itself in saveQueue. */
  changedBy?: string;
}

export interface QueueReply {
  tracks: Track[];
  /** Which of them plays, from 0; -1 for an empty queue. */
  current: number;
  positionMs: number;
  changed?: string;
  /** The app that last changed it. */
  changedBy?: string;
}

export interface Rating {
  /** 1 to 5; 0 takes the rating back. */
  rating: number;
}

export interface Report {
  track: string;
  state: "starting" | "playing" | "paused" | "stopped";
  positionMs: number;
  /** Playback rate; left out for 1. */
  rate?: number;
  /** The app's name. */
  player?: string;
}

export interface Room {
  id: string;
  name: string;
  playing: boolean;
  /** The queue. Tracks that the asker may not see are left out. */
  tracks: Track[];
  /** Which of them plays, from 0; -1 for an empty queue, and for a track that the asker may not see. */
  current: number;
  /** In the current track, of what is heard at this moment. */
  positionMs: number;
  /** off, all or one. */
  repeat: string;
  /** 0 to 100; every player's own volume is a part of it. */
  volume: number;
  muted?: boolean;
  /** Why it does not play, for a person. */
  problem?: string;
  /** A queue was replaced that undoRoom brings back. */
  undo?: boolean;
  players: RoomPlayer[];
}

export interface RoomAppend {
  /** By id. */
  tracks: string[];
}

export interface RoomChange {
  name?: string;
  /** 0 to 100. */
  volume?: number;
  muted?: boolean;
  /** off, all or one. */
  repeat?: string;
}

export interface RoomItems {
  items: Room[];
}

export interface RoomNow {
  id: string;
  name: string;
  playing: boolean;
  /** Another one when the queue is another: ask getRoom for it. */
  queue: string;
  /** How many tracks of the queue the asker may see. */
  length: number;
  /** As in getRoom. */
  current: number;
  /** The current one; left out where there is none that the asker may see. */
  track?: Track;
  /** In the current track, of what is heard at this moment. */
  positionMs: number;
  /** off, all or one. */
  repeat: string;
  /** 0 to 100. */
  volume: number;
  muted?: boolean;
  /** Why it does not play, for a person. */
  problem?: string;
  /** As in getRoom. */
  undo?: boolean;
  players: RoomPlayer[];
}

export interface RoomOrder {
  /** The whole queue, by id, up to 5,000. Tracks that the asker may not see leave it. */
  tracks: string[];
  /** Where in it the track stands that plays, from 0: it goes on without a break. If another stands there, that is begun. */
  current: number;
}

export interface RoomPairing {
  /** What the player calls itself. */
  player: string;
  name: string;
  connected?: boolean;
  paired?: boolean;
  /** How it can be paired now: with a token that its own program shows, with digits that it shows or says when it is asked to, or with digits that it came with. */
  methods: ("token" | "shown-code" | "fixed-code")[];
  /** It waits for its code to be entered. */
  ready?: boolean;
  /** What it wants people to know, in its own words. */
  note?: string;
}

export interface RoomPairingItems {
  items: RoomPairing[];
}

export interface RoomPlace {
  /** Which track of the queue, from 0. */
  current: number;
  positionMs: number;
}

export interface RoomPlay {
  /** By id, up to 5,000. */
  tracks: string[];
  /** Which of them to begin with, from 0. */
  current?: number;
  positionMs?: number;
  /** Do not begin to play. */
  paused?: boolean;
}

export interface RoomPlayer {
  /** What the player calls itself. */
  id: string;
  name: string;
  /** The protocol: snapcast, sendspin, or web for a page in a browser. */
  kind: string;
  room: string;
  connected?: boolean;
  /** Where it connected from. */
  address: string;
  /** 0 to 100. */
  volume: number;
  muted?: boolean;
  /** What the player takes to make sound, besides what it knows itself: -10,000 to 10,000. */
  latencyMs: number;
  /** When it was last connected. */
  seen?: string;
}

export interface RoomPlayerChange {
  name?: string;
  /** The room to move it to. */
  room?: string;
  /** 0 to 100. */
  volume?: number;
  muted?: boolean;
  /** -10,000 to 10,000. */
  latencyMs?: number;
}

export interface RoomStep {
  /** The player's id. */
  player: string;
  at: string;
  /** Microseconds from when a sample was due to when it was heard: positive is late. */
  errorUs: number;
  /** The most that the player's idea of the time can be wrong by. */
  boundUs: number;
}

export interface RoomTransfer {
  /** room: what the asker has in their queue goes on in the room. me: what plays in the room becomes the asker's queue, and the room pauses. */
  to: string;
  /** With me: the name of the app that goes on, as in saveQueue. */
  player?: string;
}

export interface RoomsEvent {
  rooms: RoomNow[];
}

export interface ScanRequest {
  /** Read every file again, changed or not. */
  full?: boolean;
}

export interface ScanStatus {
  scanning: boolean;
  /** listing, reading, playlists or done. */
  phase?: string;
  /** Files looked at. */
  seen: number;
  /** Files there are, as far as known. */
  total: number;
  added: number;
  changed: number;
  moved: number;
  removed: number;
  missing: number;
  /** Files that could not be read; the log names them. */
  failed: number;
  started?: string;
  finished?: string;
  error?: string;
  /** In the catalogue now. */
  tracks: number;
  /** Of those, how many have been listened to, for loudness, tempo, key and likeness. That goes on after a scan. */
  heard: number;
}

export interface SearchReply {
  artists: Artist[];
  albums: Album[];
  tracks: Track[];
}

export interface SessionEntry {
  id: string;
  /** It is the one that asks. */
  current?: boolean;
  created: string;
  expires: string;
  /** To the hour. */
  lastSeen?: string;
  /** The address of the sign-in. */
  from?: string;
  userAgent?: string;
}

export interface SessionEntryItems {
  items: SessionEntry[];
}

export interface SessionReply {
  user: User;
  /** When the session ends by itself; left out where an app key was shown instead. */
  expires?: string;
  /** The server's version. */
  server: string;
}

export interface SetPassword {
  password: string;
}

export interface Share {
  id: string;
  /** The public page. */
  url: string;
  owner: string;
  description?: string;
  /** Tracks, albums or playlists, by id. */
  entries: string[];
  created: string;
  /** Left out for never. */
  expires?: string;
  lastVisited?: string;
  visits: number;
}

export interface ShareEdit {
  description?: string;
  /** Left out for never. */
  expires?: string;
}

export interface ShareItems {
  items: Share[];
}

export interface Shelf {
  /** played: last played first. added: what came last. frequent: most played. forgotten: liked, and not played for three months. genre and decade: of those that the asker plays most, what they never played first. starred: latest first. random: any. */
  kind: "played" | "added" | "frequent" | "forgotten" | "genre" | "decade" | "starred" | "random";
  /** The genre's name, or the decade's first year. */
  of?: string;
  albums: Album[];
}

export interface ShelfItems {
  items: Shelf[];
}

export interface SignIn {
  name: string;
  password: string;
}

export interface Sound {
  /** LUFS, integrated (EBU R 128); -70 is silence. */
  loudness: number;
  /** Of the loudness, in LU. */
  range: number;
  /** dBTP. */
  truePeak: number;
  /** Beats a minute. */
  tempo?: number;
  /** As ID3's TKEY writes it: C, F#m. */
  key?: string;
}

export interface StarredReply {
  artists: Artist[];
  albums: Album[];
  tracks: Track[];
  folders: Folder[];
}

export interface Station {
  id: string;
  name: string;
  streamUrl: string;
  homeUrl?: string;
}

export interface StationEdit {
  name: string;
  /** http or https. */
  streamUrl: string;
  /** http or https. */
  homeUrl?: string;
}

export interface StationItems {
  items: Station[];
}

export interface StationTitle {
  /** As the station says it, mostly the artist, a dash and the title; empty where it says nothing. */
  title: string;
}

export interface StepsEvent {
  steps: RoomStep[];
}

export interface Suggestion {
  id: string;
  kind: "split" | "spelling" | "title" | "owner" | "genre" | "year" | "mood" | "duplicate";
  state: "open" | "accepted" | "edited" | "rejected";
  /** What is changed: an artist's name, or the id of an album or a track. */
  of: string;
  /** What that is called. */
  subject: string;
  /** Empty where there is nothing to change, as for duplicates. */
  changes: TagChange[];
  /** Of duplicates: the tracks, the best first. */
  same?: Track[];
  /** How many it concerns. */
  tracks: number;
  /** That it is right, 0 to 1. */
  probability: number;
  /** rules, or whose model. */
  source: string;
  model?: string;
  /** The evidence that weighed most. */
  why?: string;
  made: string;
  decided?: string;
  /** Who decided; left out where a rule of the settings did. */
  by?: string;
}

export interface SuggestionCounts {
  kind: "split" | "spelling" | "title" | "owner" | "genre" | "year" | "mood" | "duplicate";
  open: number;
  decided: number;
}

export interface SuggestionsReply {
  items: Suggestion[];
  total: number;
  /** Of all kinds that there are. */
  counts: SuggestionCounts[];
  /** When the library was last looked through. */
  looked?: string;
  /** It is being looked through. */
  looking: boolean;
}

export interface TagChange {
  field: "artist" | "albumArtist" | "genre" | "year" | "title" | "work" | "movement" | "grouping" | "mood";
  /** What the tags say. */
  before: string[];
  /** What is suggested, or was decided. */
  after: string[];
}

export interface Track {
  id: string;
  title: string;
  sortTitle?: string;
  album?: string;
  albumId?: string;
  /** The whole credit as tagged: A feat. B. */
  artist: string;
  artists: ArtistRef[];
  albumArtist?: string;
  albumArtists?: ArtistRef[];
  composer?: string;
  contributors?: Contributor[];
  /** Its number on the disc, from 1. */
  track?: number;
  /** From 1. */
  disc?: number;
  discSubtitle?: string;
  /** YYYY, YYYY-MM or YYYY-MM-DD, as far as known. */
  date?: string;
  /** Of the first release. */
  originalDate?: string;
  /** Of this release. */
  releaseDate?: string;
  genres?: string[];
  moods?: string[];
  groupings?: string[];
  comment?: string;
  /** Beats a minute: as tagged, else as heard. */
  bpm?: number;
  compilation?: boolean;
  /** explicit or clean; left out when unknown. */
  explicit?: string;
  /** Of the recording. */
  musicBrainzId?: string;
  /** Of the track on the release. */
  musicBrainzTrackId?: string;
  isrc?: string[];
  work?: string;
  movement?: string;
  movementNumber?: number;
  /** Loudness as tagged, else as measured. */
  gain?: Gain;
  /** What was heard in it; left out until it was listened to. */
  sound?: Sound;
  hasLyrics: boolean;
  hasCover: boolean;
  durationMs: number;
  /** Its library's id. */
  library: string;
  folderId?: string;
  /** Within its library. */
  path: string;
  /** Bytes of the original. */
  size: number;
  /** The file name's extension, without the dot. */
  suffix: string;
  /** Media type of the original. */
  contentType: string;
  codec: string;
  lossless: boolean;
  /** kbit/s, average. */
  bitRate?: number;
  /** Hz. */
  sampleRate?: number;
  /** Bits a sample, of a lossless original. */
  bitDepth?: number;
  channels?: number;
  /** When the library first had it. */
  added?: string;
  /** Its file was not there when last looked for. */
  missing?: boolean;
  /** Since when the asker has it starred. */
  starred?: string;
  /** The asker's, 1 to 5. */
  rating?: number;
  /** How often the asker played it to the end. */
  playCount?: number;
  /** When the asker last did. */
  played?: string;
}

export interface TrackItems {
  items: Track[];
}

export interface TrackWindow {
  /** How long the whole list is. */
  total: number;
  /** Where in it these items begin. */
  offset: number;
  items: Track[];
}

export interface User {
  id: string;
  name: string;
  email?: string;
  /** What the account may do; an admin may do everything. */
  roles: ("admin" | "stream" | "download" | "share" | "playlist" | "cover" | "comment")[];
  /** The ids of the libraries it sees; left out for all. */
  libraries?: string[];
  /** kbit/s; left out for no limit. */
  maxBitRate?: number;
  scrobbling: boolean;
  created?: string;
  changed?: string;
}

export interface UserEdit {
  email?: string;
  roles: ("admin" | "stream" | "download" | "share" | "playlist" | "cover" | "comment")[];
  /** The ids of the libraries it sees; left out for all. */
  libraries?: string[];
  /** kbit/s; 0 or left out for no limit. */
  maxBitRate?: number;
  scrobbling?: boolean;
}

export interface UserItems {
  items: User[];
}
