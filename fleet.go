package tutti

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"
)

// ---- The fleet ----
//
// Apart, the three services are many processes. What follows is what they need to know of one another; package peer
// provides it, and nobody else has to know how.

// Service is what a process of a fleet runs: one of the three services. A process that runs all of them is no fleet.
type Service string

// The services.
const (
	ServiceDelivery   Service = "delivery"   // A
	ServiceCatalog    Service = "catalog"    // B
	ServiceTrackCache Service = "trackcache" // C
)

// Member is one process of the fleet.
type Member struct {
	ID      string // unique in the fleet, stays with the process's data folder: a restart is the same member
	Service Service
	Address string // HOST:PORT under which the other members reach it
	Epoch   uint64 // counts the starts under this ID; a process that sees a higher one than its own stops
	State   MemberState
	Started time.Time
	Version string // of the program
	// Reads is what the process can read beyond what every version reads: words apart by spaces, each a form in which
	// others may write to the shared store (FormPacked), or the ID of a metadata model. What one live member does not read
	// nobody writes.
	Reads string
}

// FormPacked is the word in Member.Reads for the packed form of the catalogue's log and snapshot.
const FormPacked = "packed"

// ReadsAll reports whether the member can read everything that is written in these forms.
func (m Member) ReadsAll(forms ...string) bool {
	words := strings.Fields(m.Reads)
	for _, f := range forms {
		if !slices.Contains(words, f) {
			return false
		}
	}
	return true
}

// MemberState is what may be asked of a member.
type MemberState string

// The states in the order in which a process passes through them. A process that was killed passes through none: it is
// gone from the members within 3 s.
const (
	MemberStarting MemberState = "starting" // ask nothing yet
	MemberReady    MemberState = "ready"
	MemberDraining MemberState = "draining" // finish what runs, begin nothing
)

// Fleet is what a process knows of the others. Its answers come from memory and are at most 3 s old; while the store
// is away they stay what they were.
type Fleet interface {
	// Self is the process itself.
	Self() Member
	// Members returns the ready members that run the service, by ID.
	Members(s Service) []Member
	// Owners returns the n members, or as many as there are, of the track cache that own a chunk, the first choice
	// first. nginx, which is told of the same members, sends a request for the chunk to the same first choice, and to
	// the next one when that fails.
	Owners(chunk ChunkID, n int) []Member
}

// Replicas is how many members own each chunk.
const Replicas = 2

// ChunkID names one chunk of an object for those who decide where it lies. Object is Ref.ID; N counts from 0. An object
// whose size is not known in advance (a transcode, a picture) lies as a whole with the owners of its chunk 0.
type ChunkID struct {
	Object string
	N      int64
}

// ObjectInfo is what a RangeSource says of the whole of which it sends a part.
type ObjectInfo struct {
	Size        int64 // bytes of the whole
	ModTime     time.Time
	ContentType string
	Tag         string // a strong validator: as long as it is the same, so are the bytes. "" where there is none
	MD5         []byte // of the whole, where the source vouches for one (an object store's plain ETag); else nil
}

// RangeSource is where one part of an object can be had in one exchange: an object store, or another member's track
// cache. It is what fills a chunk.
type RangeSource interface {
	// OpenRange returns a reader of the n bytes from off (fewer at the object's end; n < 0: all there are). Where tag is
	// not "" and the object has another by now, the error is KindConflict. Errors are otherwise those of Source.Open.
	// The reader's own errors, an early end among them, are KindUnavailable. The caller closes the reader, and retries.
	OpenRange(ctx context.Context, r Ref, off, n int64, tag string) (io.ReadCloser, ObjectInfo, error)
}

// Pass is the leave to fetch one object from a track cache member. The catalogue's plan leads to one; it is signed, so
// that the member needs to ask nobody, and ends.
type Pass struct {
	Ref         Ref
	Size        int64 // -1 while unknown
	ModTime     time.Time
	ContentType string
	ETag        string        // as the listener is told, quotes included; "" for none
	SHA256      []byte        // of the whole, for Repr-Digest (RFC 9530); nil where it is not known
	Duration    time.Duration // for X-Content-Duration; 0 for none
	Expires     time.Time
}

// Neighbour is what one member of the track cache is to another: where to fill a chunk from, and whom to tell what will
// be asked for. What peer makes of a member is one, and so is what a track cache answers its neighbours with. OpenRange
// asks it for what lies in its own tiers or comes from the origin; it never asks a third member, so that no two can wait
// for each other.
type Neighbour interface {
	RangeSource
	// Held says which of an object's first n chunks the member can send without asking anybody: bit i%8 of byte i/8 is
	// chunk i. An object that it does not know is no error: it holds nothing of it.
	Held(ctx context.Context, r Ref, n int64) ([]byte, error)
	// Warm says that chunk n will be asked of the member before long. With fetch it gets the chunk now, from whichever
	// member has it; without, it only remembers, and knows the next request for what it is: the next in a row, not a
	// leap. It returns at once and promises nothing.
	Warm(ctx context.Context, r Ref, n int64, fetch bool) error
}

// Seeker is a Source that is told where reading will begin, and so need not have the object's beginning at hand to say
// how large it is. Whoever serves one slice of an object asks for it so.
type Seeker interface {
	Source
	// OpenAt is Open. off is where the first CopyRange will begin, and changes nothing but the speed.
	OpenAt(ctx context.Context, r Ref, off int64) (Object, error)
}

// Prover is an Object that can tell whether its bytes are known to be the file's. Where they are not, they may turn out to
// be others, and whoever keeps them asks again soon.
type Prover interface {
	Object
	Proven() bool
}
