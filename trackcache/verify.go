package trackcache

import (
	"context"
	"crypto/sha256"
	"hash"
	"io"
	"log/slog"
	"sync"
	"time"

	"tutti"
	"tutti/clock"
)

// verifier takes the hash of originals that were delivered, which proves what the listener got, without costing them
// anything: one file at a time, no faster than rate.
type verifier struct {
	origin tutti.Source
	onHash func(context.Context, tutti.Ref, [sha256.Size]byte) error
	want   func(tutti.Ref) bool // may ask the store; only run calls it
	rate   int64                // bytes a second
	clock  clock.Clock
	log    *slog.Logger

	offers chan tutti.Ref
	mu     sync.Mutex
	taken  map[tutti.Version]bool // offered already
}

// maxOffers bounds how many files wait for their hash, and maxTaken how many are remembered; what does not fit is
// hashed when it is delivered again.
const (
	maxOffers = 1024
	maxTaken  = 1 << 16
)

// Sealing is what an Origin may be besides: one that says which originals this process is to read for their hash, and
// keeps what the reading found of their parts. Chunks are.
type Sealing interface {
	Verifies(r tutti.Ref) bool
	// OpenToVerify is Open for that reading, which counts as no listening.
	OpenToVerify(ctx context.Context, r tutti.Ref) (tutti.Object, error)
	// Seal keeps the sums of all bytes of the original. With an error the reading counts for nothing.
	Seal(ctx context.Context, r tutti.Ref, s *Sealer) error
}

func newVerifier(c Config) *verifier {
	v := &verifier{
		origin: c.Origin, onHash: c.OnHash, want: c.WantHash, rate: c.HashRate, clock: c.Clock, log: c.Logger,
		offers: make(chan tutti.Ref, maxOffers), taken: map[tutti.Version]bool{},
	}
	if v.rate == 0 {
		v.rate = 32 << 20
	}
	return v
}

// offer queues an original for its hash, unless it has been. It never waits: whether the hash is wanted is asked by run.
func (v *verifier) offer(r tutti.Ref) {
	if s, ok := v.origin.(Sealing); ok && !s.Verifies(r) {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if r.Version == "" || v.taken[r.Version] {
		return
	}
	select {
	case v.offers <- r:
	default:
		return
	}
	if len(v.taken) >= maxTaken {
		clear(v.taken)
	}
	v.taken[r.Version] = true
}

func (v *verifier) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-v.offers:
			if v.want != nil && !v.want(r) {
				continue
			}
			sum, err := v.hash(ctx, r)
			if err == nil {
				err = v.onHash(ctx, r, sum)
			}
			if err != nil && ctx.Err() == nil {
				v.mu.Lock()
				delete(v.taken, r.Version) // try again after its next delivery
				v.mu.Unlock()
				v.log.Warn("the hash of an original could not be taken", "library", r.Library, "path", r.Path, "err", err)
			}
		}
	}
}

func (v *verifier) hash(ctx context.Context, r tutti.Ref) (sum [sha256.Size]byte, err error) {
	open := v.origin.Open
	keeps, seals := v.origin.(Sealing)
	if seals {
		open = keeps.OpenToVerify
	}
	obj, err := open(ctx, r)
	if err != nil {
		return sum, err
	}
	w := pacedHash{v: v, ctx: ctx, Hash: sha256.New()}
	var to io.Writer = w
	sealer := NewSealer()
	if seals {
		to = io.MultiWriter(sealer, w)
	}
	_, err = obj.CopyRange(ctx, to, 0, -1)
	if cerr := obj.Close(); err == nil {
		err = cerr
	}
	if err == nil && seals {
		err = keeps.Seal(ctx, r, sealer)
	}
	w.Sum(sum[:0])
	return sum, err
}

// pacedHash rests after each piece for as long as the piece may take at the rate; what the reading itself took comes
// on top, so the rate is never exceeded.
type pacedHash struct {
	hash.Hash
	v   *verifier
	ctx context.Context
}

func (p pacedHash) Write(b []byte) (int, error) {
	n, err := p.Hash.Write(b)
	if err != nil {
		return n, err
	}
	return n, clock.Sleep(p.ctx, p.v.clock, time.Duration(int64(n)*int64(time.Second)/p.v.rate))
}

// ReadFrom reads large pieces, so that the rests are few: five or so a second.
func (p pacedHash) ReadFrom(r io.Reader) (int64, error) {
	buf := make([]byte, min(max(p.v.rate/8, 64<<10), 4<<20))
	var total int64
	for {
		n, err := io.ReadFull(r, buf)
		total += int64(n)
		if n > 0 {
			if _, werr := p.Write(buf[:n]); werr != nil {
				return total, werr
			}
		}
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return total, nil
		default:
			return total, err
		}
	}
}
