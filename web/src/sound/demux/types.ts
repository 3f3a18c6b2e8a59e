/**
 * What a demuxer says of a stream once it knows: enough to configure a WebCodecs AudioDecoder.
 *
 * The listening timeline counts samples at sampleRate from the first that is meant to be heard; what an encoder put
 * before it (its delay, an Opus pre-skip) has negative times.
 */
export interface Demuxed {
  /**
   * A codec string of the WebCodecs registry ("flac", "mp3", "opus", "vorbis", "mp4a.40.2", "pcm-s16" …), or a name
   * outside it ("alac", "mp2", "drm" …) for what no browser decodes this way and the server has to transcode.
   * "pcm-u8", "pcm-s16", "pcm-s24", "pcm-s32", "pcm-f32" and "pcm-f64" are little-endian and interleaved: nothing is
   * left to decode.
   */
  codec: string;
  /** Of what the decoder gives out, in Hz. */
  sampleRate: number;
  channels: number;
  /** AudioDecoderConfig.description, where the codec needs one. */
  description?: Uint8Array;
  /**
   * How many samples are to be heard as far as the file's headers say. For a progress bar and for planning; what is
   * kept is decided by the packets, since headers of cut or joined files lie.
   */
  durationSamples?: number;
  /** Samples before the listening timeline begins: what packets with negative times hold. */
  trimStart: number;
  /** Samples that are not to be heard at the end. The samples of the last packets leave them out already. */
  trimEnd: number;
}

/**
 * One packet for the decoder. What is to be heard of the samples that it decodes to: those from time 0 (or from the
 * time sought) on, and of those no more than `samples` from the packet's beginning. The rest is dropped.
 */
export interface Packet {
  /** A copy: it may be transferred. */
  data: Uint8Array;
  /** When the first sample of this packet is to be heard; negative before the listening timeline begins. */
  timestampUs: number;
  /** How many samples of what it decodes to count, from the first; fewer than decoded only where the stream ends. */
  samples: number;
  /**
   * Set where another stream begins in the same file (chained Ogg): the decoder is flushed and configured anew before
   * this packet. Times go on.
   */
  config?: Demuxed;
}

/**
 * Takes a file apart while it arrives. It never throws for what is in the file: bytes that make no sense are passed
 * over, and where nothing makes sense info stays undefined.
 */
export interface Demuxer {
  /**
   * The next bytes, in pieces of any size. `at` is where in the file they begin; without it they follow the last ones,
   * or begin where seek said.
   */
  push(bytes: Uint8Array, at?: number): Packet[];
  /** Undefined until the headers have arrived. */
  info(): Demuxed | undefined;
  /**
   * Where in the file it wants to be given bytes from, where that is not right behind the last ones: headers that
   * stand at the end of the file, a large picture that need not be fetched, the next step of a search. Look after
   * every push, before end, and after end. Who goes on in order all the same gives nothing wrong, only what is passed over.
   */
  wants(): number | undefined;
  /** The file has ended: the packets that waited for what comes next. */
  end(): Packet[];
  /**
   * Where to go on from for a time. Call reset, then push from offset; wants may send the reader elsewhere a few times
   * until the place is found. The first packets may lie before ms: the decoder needs them so that what it gives
   * from ms on is exact.
   */
  seek(ms: number, sizeBytes: number): { offset: number; reset: () => void };
}
