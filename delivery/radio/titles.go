package radio

import (
	"context"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"tutti"

	"golang.org/x/text/encoding/charmap"
)

// unmixed takes the titles out of a station's bytes. After every so many bytes of sound there is one that says, in units
// of 16 bytes, how long the title is that follows, mostly 0. That is SHOUTcast's protocol, of which there is no standard;
// https://cast.readme.io/docs/icy describes it.
type unmixed struct {
	r           io.Reader
	every, left int // bytes of sound from one title to the next, and to the next from here
	title       func(string)
}

func (u *unmixed) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if u.left == 0 {
		var length [1]byte
		if _, err := io.ReadFull(u.r, length[:]); err != nil {
			return 0, err
		}
		meta := make([]byte, 16*int(length[0])) // at most 4,080
		if _, err := io.ReadFull(u.r, meta); err != nil {
			return 0, err
		}
		if title, ok := streamTitle(meta); ok {
			u.title(title)
		}
		u.left = u.every
	}
	n, err := u.r.Read(p[:min(len(p), u.left)])
	u.left -= n
	return n, err
}

// streamTitle reads StreamTitle='…'; ok is false where there is none. Titles may have quotes in them, and are in UTF-8 or,
// from old stations, in Windows-1252.
func streamTitle(meta []byte) (title string, ok bool) {
	_, rest, ok := strings.Cut(string(meta), "StreamTitle='")
	if !ok {
		return "", false
	}
	rest = strings.TrimRight(rest, "\x00")
	if before, _, more := strings.Cut(rest, "';StreamUrl="); more {
		rest = before
	} else {
		rest = strings.TrimSuffix(strings.TrimSuffix(rest, ";"), "'")
	}
	if !utf8.ValidString(rest) {
		// Every byte means something in that table, so this cannot fail.
		rest, _ = charmap.Windows1252.NewDecoder().String(rest)
	}
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, rest)
	return strings.TrimSpace(clean), true
}

// rooms are the stations that somebody in this process listens to, or wants to know the titles of.
type rooms struct {
	mu sync.Mutex
	by map[tutti.ID]*room
}

// room is one of them.
type room struct {
	people int // in it; guarded by rooms.mu

	mu       sync.Mutex
	title    string
	relaying int  // how many pass its sound on, and so know its titles
	follower bool // somebody listens for the titles alone
	changed  chan struct{}
}

func (r *rooms) enter(station tutti.ID) *room {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = make(map[tutti.ID]*room)
	}
	x := r.by[station]
	if x == nil {
		x = &room{changed: make(chan struct{})}
		r.by[station] = x
	}
	x.people++
	return x
}

func (r *rooms) leave(station tutti.ID, x *room) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if x.people--; x.people == 0 {
		delete(r.by, station)
	}
}

// change changes the room and wakes those who wait for it.
func (x *room) change(fn func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	fn()
	close(x.changed)
	x.changed = make(chan struct{})
}

func (x *room) say(title string) {
	x.change(func() { x.title = title })
}

func (x *room) relays(n int) {
	x.change(func() { x.relaying += n })
}

// follow makes the caller the one who listens for the titles alone, where somebody has to.
func (x *room) follow() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.relaying > 0 || x.follower {
		return false
	}
	x.follower = true
	return true
}

// patience is how long the titles wait for somebody to relay the sound: a player asks for both at once.
const patience = 3 * time.Second

// Titles calls fn with what the station plays now, as it says, and again when that changes, until ctx ends or fn returns an
// error; it returns that error. Where nobody in this process listens to the station, it listens itself, and returns the
// errors that Relay does. A station that tells no titles has none.
func (r *Radio) Titles(ctx context.Context, station tutti.ID, address string, fn func(title string) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	room := r.rooms.enter(station)
	defer r.rooms.leave(station, room)
	wait := r.c.Clock.NewTimer(patience)
	defer wait.Stop()
	var (
		told  *string
		ended chan error // of our own listening; nil while we do not
		may   = false
	)
	defer func() {
		if ended != nil {
			cancel()
			<-ended
		}
	}()
	for {
		room.mu.Lock()
		title, changed := room.title, room.changed
		room.mu.Unlock()
		if told == nil || *told != title {
			told = &title
			if err := fn(title); err != nil {
				return err
			}
		}
		if may && ended == nil && room.follow() {
			ended = make(chan error, 1)
			go func() { ended <- r.overhear(ctx, address, room) }() // ends with ctx, and is waited for
		}
		select {
		case <-changed:
		case <-wait.C():
			may = true
		case err := <-ended:
			ended = nil
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// overhear listens to a station for its titles alone, until somebody relays it.
func (r *Radio) overhear(ctx context.Context, address string, room *room) error {
	defer room.change(func() { room.follower = false })
	s, done, err := r.tune(ctx, address, room)
	if err != nil {
		return err
	}
	defer done()
	b := make([]byte, 16<<10)
	for {
		room.mu.Lock()
		needed := room.relaying == 0
		room.mu.Unlock()
		if !needed {
			return nil
		}
		if _, err := s.sound.Read(b); err != nil {
			return unreachable("radio: listen", err)
		}
	}
}
