package rooms

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"tutti"
)

// Every room plays in one format, so that tracks follow one another without a gap whatever they are made of, and every
// protocol can carry it.
const (
	// Rate is in samples a second, per channel.
	Rate = 48000
	// Channels of a sample.
	Channels = 2
	// BitDepth of a sample of one channel.
	BitDepth = 16
	// FrameSize is the bytes of one sample of all channels: little-endian, interleaved.
	FrameSize = Channels * BitDepth / 8
)

// profile is what the track cache is asked for. It makes each track's once, and gives any part of it from then on.
var profile = tutti.Profile{Format: "wav", Rate: Rate, Channels: Channels, BitDepth: BitDepth}

// recording is a track's sound, opened.
type recording struct {
	id     tutti.ID
	object tutti.Object
	start  int64 // of the samples in the file
	track  tutti.Track

	ahead []byte // what was read of the file from the sample on that is given next
	next  int64  // that sample
	ended bool   // nothing follows ahead
	reach int    // how many bytes are read at once
}

// A track's beginning is read block by block, so that it is heard soon though the track is still being made; then more
// and more at once, because each reading may be a request to another process.
const (
	leastReach = blockSamples * FrameSize
	mostReach  = 2 * Rate * FrameSize
)

// open plans and opens a track for a listener.
func (h *House) open(ctx context.Context, v tutti.Viewer, id tutti.ID) (*recording, error) {
	plan, err := h.c.Planner.Plan(ctx, tutti.PlanRequest{Viewer: v, Track: id, Want: tutti.Want{Exact: &profile}})
	if err != nil {
		return nil, err
	}
	object, err := h.c.Source.Open(ctx, plan.Ref)
	if err != nil {
		return nil, err
	}
	start, err := samplesStart(ctx, object)
	if err != nil {
		return nil, errors.Join(err, object.Close())
	}
	return &recording{id: id, object: object, start: start, track: plan.Track, reach: leastReach}, nil
}

// maxHeader is more than any header of the files that are made for us takes.
const maxHeader = 4096

// samplesStart finds the samples of a WAVE file (RIFF: "Multimedia Programming Interface and Data Specifications 1.0",
// 1991) and makes sure of their format.
func samplesStart(ctx context.Context, o tutti.Object) (int64, error) {
	const op = "rooms.open"
	var header bytes.Buffer
	if _, err := o.CopyRange(ctx, &header, 0, maxHeader); err != nil && !errors.Is(err, io.EOF) {
		return 0, tutti.Wrap(tutti.KindOf(err), op, err)
	}
	start, err := parseHeader(header.Bytes())
	if err != nil {
		return 0, tutti.Errorf(tutti.KindInternal, op, "the sound that was made is no WAVE file: %v", err)
	}
	return start, nil
}

// parseHeader returns where the samples begin.
func parseHeader(b []byte) (int64, error) {
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return 0, errors.New("it does not begin as one")
	}
	known := false
	for at := 12; at+8 <= len(b); {
		size := int64(binary.LittleEndian.Uint32(b[at+4:]))
		body := b[at+8:]
		switch string(b[at : at+4]) {
		case "fmt ":
			if size < 16 || len(body) < 16 {
				return 0, errors.New("its format is cut short")
			}
			channels, rate, depth := binary.LittleEndian.Uint16(body[2:]), binary.LittleEndian.Uint32(body[4:]), binary.LittleEndian.Uint16(body[14:])
			if channels != Channels || rate != Rate || depth != BitDepth {
				return 0, fmt.Errorf("it has %d channels of %d bits at %d Hz", channels, depth, rate)
			}
			known = true
		case "data":
			if !known {
				return 0, errors.New("its samples come before their format")
			}
			return int64(at + 8), nil
		}
		next := int64(at) + 8 + size + size&1
		if next > int64(len(b)) {
			break
		}
		at = int(next)
	}
	return 0, errors.New("its samples are not found")
}

// read fills as much of p as the track has from a sample on: whole samples, fewer than asked for only at its end. It waits
// for what is still being made.
func (r *recording) read(ctx context.Context, p []byte, sample int64) (int, error) {
	if sample != r.next {
		r.ahead, r.next, r.ended = nil, sample, false
	}
	filled := 0
	for filled < len(p) && (len(r.ahead) > 0 || !r.ended) {
		if len(r.ahead) == 0 {
			if err := r.readAhead(ctx); err != nil {
				return 0, err
			}
			continue
		}
		n := copy(p[filled:], r.ahead)
		r.ahead = r.ahead[n:]
		r.next += int64(n / FrameSize)
		filled += n
	}
	return filled, nil
}

func (r *recording) readAhead(ctx context.Context) error {
	from := r.start + r.next*FrameSize
	if size := r.object.Size(); size >= 0 && from >= size {
		r.ended = true
		return nil
	}
	w := &filler{p: make([]byte, r.reach)}
	_, err := r.object.CopyRange(ctx, w, from, int64(r.reach))
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	r.ahead = w.p[:w.n-w.n%FrameSize]
	r.ended = w.n < r.reach
	r.reach = min(2*r.reach, mostReach)
	return nil
}

// samples is how many the track has, unless it is still being made.
func (r *recording) samples() (n int64, known bool) {
	size := r.object.Size()
	return max(size-r.start, 0) / FrameSize, size >= 0
}

func (r *recording) close() error { return r.object.Close() }

// filler is a writer into a slice.
type filler struct {
	p []byte
	n int
}

func (f *filler) Write(b []byte) (int, error) {
	n := copy(f.p[f.n:], b)
	f.n += n
	if n < len(b) {
		return n, io.ErrShortWrite
	}
	return n, nil
}
