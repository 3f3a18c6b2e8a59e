package rooms

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/mewkiz/flac"
	"github.com/mewkiz/flac/frame"
	"github.com/mewkiz/flac/meta"
)

// Format is how sound goes to players.
type Format string

// The formats.
const (
	PCM  Format = "pcm"  // samples as they are, behind a WAVE header
	FLAC Format = "flac" // RFC 9639, a frame a block
)

// Block is a piece of a room's sound, a fiftieth of a second, and when its first sample is to be heard.
type Block struct {
	At   time.Time
	Data []byte // in the feed's format; not to be changed
}

// blockSamples is the length of a block: short enough to be sent while it is still far from being heard, long enough
// that headers do not matter.
const blockSamples = Rate / 50

// program is what a room sends at the moment: a run of blocks without a break. After a pause, a seek or another track that
// was chosen begins a new one, and players forget what they hold of the one before. Every format is encoded once,
// whoever listens, from when somebody does.
type program struct {
	mu     sync.Mutex
	blocks []raw                // still to be heard or lately heard, oldest first
	first  int                  // number of blocks[0]
	coded  map[Format]*encoding // of the formats that somebody listens to
	more   chan struct{}        // closed when a block is added or the program ends
	ended  bool
}

type raw struct {
	at      time.Time
	samples []byte
}

// encoding is one format's blocks, in step with the program's.
type encoding struct {
	header []byte
	blocks [][]byte
	first  int
	encode func([]byte) ([]byte, error)
}

func newProgram() *program {
	return &program{coded: map[Format]*encoding{}, more: make(chan struct{})}
}

// kept is how long blocks are kept after they were heard, so that who is a moment behind finds them.
const kept = 250 * time.Millisecond

// add appends a block and forgets those that everybody has heard. A program that has ended takes no more: whoever
// ended it did not wait for the pump.
func (p *program) add(at time.Time, samples []byte, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	for len(p.blocks) > 0 && p.blocks[0].at.Add(kept).Before(now) {
		p.blocks = p.blocks[1:]
		p.first++
	}
	p.blocks = append(p.blocks, raw{at, samples})
	close(p.more)
	p.more = make(chan struct{})
}

// unheard reports whether players may hold what is still to be heard.
func (p *program) unheard(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.blocks)
	return n > 0 && p.blocks[n-1].at.Add(length(blockSamples, Rate)).After(now)
}

func (p *program) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		p.ended = true
		close(p.more)
	}
}

// encoded returns the format's encoding, begun at the oldest block that is kept.
func (p *program) encoded(f Format) (*encoding, error) {
	if e := p.coded[f]; e != nil {
		return e, nil
	}
	e := &encoding{first: p.first}
	switch f {
	case PCM:
		e.header, e.encode = waveHeader(), func(samples []byte) ([]byte, error) { return samples, nil }
	case FLAC:
		var err error
		if e.header, e.encode, err = flacEncoder(); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("rooms do not play in the format %q", f)
	}
	p.coded[f] = e
	return e, nil
}

// block returns block n in a format, or the oldest that is kept where that is newer, and its number. Where it is not
// there yet, it returns what to wait for instead.
func (p *program) block(f Format, n int) (b Block, number int, wait <-chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n = max(n, p.first)
	if n >= p.first+len(p.blocks) {
		return Block{}, n, p.more, nil
	}
	e, err := p.encoded(f)
	if err != nil {
		return Block{}, n, nil, err
	}
	for len(e.blocks) > 0 && e.first < p.first {
		e.blocks = e.blocks[1:]
		e.first++
	}
	if len(e.blocks) == 0 {
		e.first = max(e.first, p.first)
	}
	for e.first+len(e.blocks) <= n {
		data, err := e.encode(p.blocks[e.first+len(e.blocks)-p.first].samples)
		if err != nil {
			return Block{}, n, nil, err
		}
		e.blocks = append(e.blocks, data)
	}
	return Block{p.blocks[n-p.first].at, e.blocks[n-e.first]}, n, nil, nil
}

// header is the format's, which goes before its blocks.
func (p *program) header(f Format) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, err := p.encoded(f)
	if err != nil {
		return nil, err
	}
	return e.header, nil
}

// Feed is one player's way through a room's sound. It is used by one goroutine.
type Feed struct {
	seat    *Seat
	format  Format
	program *program
	next    int
}

// Piece is what a feed gives: a header before anything else and whenever a player has to forget what it holds, else a
// block.
type Piece struct {
	Header []byte
	Block  Block
}

// Next waits for what is to be sent next, until ctx ends. What would be heard too late to be of use is left out.
func (f *Feed) Next(ctx context.Context) (Piece, error) {
	for {
		current, moved := f.seat.program()
		if current != f.program {
			f.program, f.next = current, 0
			header, err := current.header(f.format)
			if err != nil {
				return Piece{}, err
			}
			return Piece{Header: header}, nil
		}
		house := f.seat.house
		var b Block
		var n int
		var wait <-chan struct{}
		var err error
		house.c.CPU.Do(func() { b, n, wait, err = f.program.block(f.format, f.next) })
		if err != nil {
			return Piece{}, err
		}
		if wait == nil {
			f.next = n + 1
			if b.At.After(house.c.Clock.Now()) {
				house.sentBlocks.Add(1)
				house.sentBytes.Add(int64(len(b.Data)))
				return Piece{Block: b}, nil
			}
			continue
		}
		f.program.mu.Lock()
		ended := f.program.ended
		f.program.mu.Unlock()
		if ended {
			wait = nil // the next program comes with moved
		}
		select {
		case <-ctx.Done():
			return Piece{}, ctx.Err()
		case <-moved:
		case <-wait:
		}
	}
}

// waveHeader is that of an endless WAVE file.
func waveHeader() []byte {
	const endless = 0xffffffff
	h := make([]byte, 0, 44)
	u16 := func(v uint16) { h = append(h, byte(v), byte(v>>8)) }
	u32 := func(v uint32) { h = append(h, byte(v), byte(v>>8), byte(v>>16), byte(v>>24)) }
	h = append(h, "RIFF"...)
	u32(endless)
	h = append(h, "WAVEfmt "...)
	u32(16)
	u16(1) // PCM
	u16(Channels)
	u32(Rate)
	u32(Rate * FrameSize)
	u16(FrameSize)
	u16(BitDepth)
	h = append(h, "data"...)
	u32(endless)
	return h
}

// flacEncoder returns the stream's header and what turns blocks into frames.
func flacEncoder() (header []byte, encode func([]byte) ([]byte, error), err error) {
	var out bytes.Buffer
	e, err := flac.NewEncoder(&out, &meta.StreamInfo{BlockSizeMin: blockSamples, BlockSizeMax: blockSamples, SampleRate: Rate, NChannels: Channels, BitsPerSample: BitDepth})
	if err != nil {
		return nil, nil, fmt.Errorf("begin a FLAC stream: %w", err)
	}
	e.EnablePredictionAnalysis(true)
	header = bytes.Clone(out.Bytes())
	return header, func(samples []byte) ([]byte, error) {
		out.Reset()
		n := len(samples) / FrameSize
		f := &frame.Frame{Header: frame.Header{
			HasFixedBlockSize: true, BlockSize: uint16(n), SampleRate: Rate, Channels: frame.ChannelsLR, BitsPerSample: BitDepth,
		}}
		for c := range Channels {
			s := make([]int32, n)
			for i := range s {
				at := i*FrameSize + c*2
				s[i] = int32(int16(uint16(samples[at]) | uint16(samples[at+1])<<8))
			}
			f.Subframes = append(f.Subframes, &frame.Subframe{SubHeader: frame.SubHeader{Pred: frame.PredVerbatim}, Samples: s, NSamples: n})
		}
		if err := e.WriteFrame(f); err != nil {
			return nil, fmt.Errorf("encode FLAC: %w", err)
		}
		return bytes.Clone(out.Bytes()), nil
	}, nil
}
