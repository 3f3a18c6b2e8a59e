package sendspin

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"tutti/clock"
	"tutti/rooms"
)

// choose is the format to send: the one that the client prefers now, else the first of its list that rooms have; nil where
// there is none.
func (c *client) choose(r report) *format {
	can := func(f format) bool {
		return (f.Codec == string(rooms.FLAC) || f.Codec == string(rooms.PCM)) && f.Rate == rooms.Rate && f.Channels == rooms.Channels && f.Depth == rooms.BitDepth
	}
	if r.wish != nil && can(*r.wish) && slices.Contains(c.g.Player.Formats, *r.wish) {
		return r.wish
	}
	if i := slices.IndexFunc(c.g.Player.Formats, can); i >= 0 {
		return &c.g.Player.Formats[i]
	}
	return nil
}

// held counts what lies in a client's buffer: what was sent and is still to be heard.
type held struct {
	bytes int64
	sent  []parcel
}

type parcel struct {
	until time.Time // by when it has been heard
	bytes int64
}

// drain forgets what has been heard.
func (h *held) drain(now time.Time) {
	for len(h.sent) > 0 && !h.sent[0].until.After(now) {
		h.bytes -= h.sent[0].bytes
		h.sent = h.sent[1:]
	}
}

func (h *held) add(p parcel) {
	h.bytes += p.bytes
	h.sent = append(h.sent, p)
}

// room is how long to wait until so many bytes fit: 0 where they do now. It is called after drain.
func (h *held) room(bytes, capacity int64, now time.Time) time.Duration {
	left := h.bytes
	for _, p := range h.sent {
		if left+bytes <= capacity {
			return 0
		}
		left -= p.bytes
		if left+bytes <= capacity {
			return p.until.Sub(now)
		}
	}
	return 0
}

// blockLength is how long a block is heard.
const blockLength = time.Second / 50

// sound sends the room's sound, while the client wants it and the room plays. A seek or another track clears what the client
// holds, and only the end of playing ends the stream (spec, stream/end).
func (c *client) sound(ctx context.Context) error {
	var (
		active bool      // a stream is
		last   time.Time // stamp of the last block that was sent in it
		in     held
	)
	finish := func() error {
		if !active {
			return nil
		}
		active, in = false, held{}
		return c.l.say(ctx, "stream/end", map[string]any{"roles": []string{rolePlayer}})
	}
	for {
		r, said := c.reports()
		if !r.said || !r.available || r.away {
			if err := finish(); err != nil {
				return err
			}
			select {
			case <-said:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		f := *c.choose(r)
		err := c.stream(ctx, f, &active, &last, &in, finish)
		if !errors.Is(err, errOther) {
			return err
		}
	}
}

// errOther says that the client wants something else than is being sent.
var errOther = errors.New("the client wants something else")

// stream sends in one format, until the client wants another.
func (c *client) stream(ctx context.Context, f format, active *bool, last *time.Time, in *held, finish func() error) error {
	pieces, failed, stop := c.feed(ctx, rooms.Format(f.Codec))
	defer stop()
	var header []byte
	began := false // this format was announced
	for {
		r, said := c.reports()
		if !r.said || !r.available || r.away || *c.choose(r) != f {
			return errOther
		}
		scene, changed := c.seat.Scene()
		if !scene.Room.Playing {
			began = false
			if err := finish(); err != nil {
				return err
			}
		}
		select {
		case <-said:
		case <-changed:
		case err := <-failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case p := <-pieces:
			if p.Header != nil {
				header = p.Header
				if *active && began {
					*in, *last = held{}, time.Time{}
					if err := c.l.sayAt(ctx, "stream/clear", c.stamped(map[string]any{"roles": []string{rolePlayer}})); err != nil {
						return err
					}
				}
				continue
			}
			if !p.Block.At.After(*last) {
				continue // it was sent in another format
			}
			if !began {
				began = true
				if !*active {
					*last = time.Time{}
				}
				*active = true
				if err := c.l.sayAt(ctx, "stream/start", c.stamped(map[string]any{rolePlayer: started(f, header)})); err != nil {
					return err
				}
			}
			*last = p.Block.At
			if err := c.chunk(ctx, p.Block, in); err != nil {
				return err
			}
		}
	}
}

// feed gives the pieces of the room's sound in a format. stop ends it, and waits until it has ended.
func (c *client) feed(ctx context.Context, f rooms.Format) (pieces <-chan rooms.Piece, failed <-chan error, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	out, fault := make(chan rooms.Piece), make(chan error, 1)
	var feeding sync.WaitGroup
	feeding.Go(func() {
		feed := c.seat.Feed(f)
		for {
			p, err := feed.Next(ctx)
			if err != nil {
				fault <- err
				return
			}
			select {
			case out <- p:
			case <-ctx.Done():
				return
			}
		}
	})
	return out, fault, func() { cancel(); feeding.Wait() }
}

// stamped adds the time of sending where the dialect has it.
func (c *client) stamped(payload map[string]any) func(now int64) any {
	return func(now int64) any {
		if c.l.dialect == current {
			payload["server_transmitted"] = now
		}
		return payload
	}
}

// started is the player's part of stream/start.
func started(f format, header []byte) map[string]any {
	out := map[string]any{"codec": f.Codec, "sample_rate": f.Rate, "channels": f.Channels, "bit_depth": f.Depth}
	if f.Codec == string(rooms.FLAC) {
		out["codec_header"] = base64.StdEncoding.EncodeToString(header)
	}
	return out
}

// chunk sends a block, once there is room for it where it goes. What has become too late by then is left out.
func (c *client) chunk(ctx context.Context, b rooms.Block, in *held) error {
	size := int64(len(b.Data)) + 13
	for {
		now := c.s.c.Clock.Now()
		in.drain(now)
		wait := in.room(size, c.g.Player.Capacity, now)
		if wait <= 0 {
			break
		}
		if err := clock.Sleep(ctx, c.s.c.Clock, wait); err != nil {
			return err
		}
	}
	at := b.At.Add(-c.shift())
	if !at.After(c.s.c.Clock.Now()) || size > c.g.Player.Capacity {
		return nil
	}
	in.add(parcel{b.At.Add(blockLength), size})
	return c.l.send(ctx, audioChunk, func(now time.Time) []byte {
		body := make([]byte, 0, 12+len(b.Data))
		body = binary.BigEndian.AppendUint64(body, uint64(at.UnixMicro()))
		if c.l.dialect == current {
			body = binary.BigEndian.AppendUint32(body, ahead(at.Sub(now)))
		}
		return append(body, b.Data...)
	})
}

// ahead is how far before its time something is sent, as the wire has it: in microseconds, saturated.
func ahead(d time.Duration) uint32 { return uint32(min(max(d.Microseconds(), 0), math.MaxUint32)) }

// shift is how much earlier than the room a player's stamps are: the latency that people have given it, where it cannot be
// told to allow for that itself.
func (c *client) shift() time.Duration {
	s, _ := c.seat.Settings()
	if c.delayCommand() != "" && s.Latency >= 0 && s.Latency <= maxDelay*time.Millisecond {
		return 0
	}
	return s.Latency
}
