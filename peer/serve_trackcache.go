package peer

import (
	"context"

	"tutti"
	"tutti/peer/wire"
)

// trackCacheServer answers for a track cache, but for its bytes.
type trackCacheServer struct {
	cache     tutti.TrackCache
	neighbour tutti.Neighbour // nil: has no chunks
}

var _ wire.TrackCacheHandler = trackCacheServer{}

// maxHeld is of how many chunks a member is asked at once: 64 GiB of music.
const maxHeld = 1 << 16

func (s trackCacheServer) Prepare(ctx context.Context, m *wire.Ref) (*wire.Readiness, error) {
	ref := fromRef(m)
	if err := checkRef(ref); err != nil {
		return nil, err
	}
	if s.cache == nil {
		return nil, tutti.Errorf(tutti.KindUnavailable, "peer: prepare", "this member has no track cache")
	}
	r, err := s.cache.Prepare(ctx, ref)
	return one(r, err, toReadiness)
}

// near returns the neighbour with the ref that it is asked about.
func (s trackCacheServer) near(m *wire.Ref) (tutti.Neighbour, tutti.Ref, error) {
	ref := fromRef(m)
	if s.neighbour == nil {
		return nil, ref, tutti.Errorf(tutti.KindUnavailable, "peer: neighbour", "this member has no chunks")
	}
	return s.neighbour, ref, checkRef(ref)
}

func (s trackCacheServer) Held(ctx context.Context, m *wire.HeldRequest) (*wire.HeldResponse, error) {
	n, ref, err := s.near(m.GetRef())
	if err != nil {
		return nil, err
	}
	if m.GetChunks() < 0 || m.GetChunks() > maxHeld {
		return nil, tutti.Errorf(tutti.KindInvalid, "peer: held", "asked about %d chunks; at most %d can be", m.GetChunks(), maxHeld)
	}
	held, err := n.Held(ctx, ref, m.GetChunks())
	return &wire.HeldResponse{Chunks: held}, err
}

func (s trackCacheServer) Warm(ctx context.Context, m *wire.WarmRequest) (*wire.Nothing, error) {
	n, ref, err := s.near(m.GetRef())
	if err != nil {
		return nil, err
	}
	return done(n.Warm(ctx, ref, m.GetChunk(), m.GetFetch()))
}
