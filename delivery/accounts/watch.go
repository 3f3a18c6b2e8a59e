package accounts

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/store"
)

// watch lets the processes of a fleet go by what they remember of a person for longer than freshFor, though what any of
// them changes holds everywhere that soon.
//
// Who takes something away from a user (changes the account, ends a session, revokes a key) first writes an
// announcement, and only then does so, within changeWithin, or not at all. An announcement names the user and is there for announcedFor. Every
// process asks for all there are every watchEvery, while somebody comes to its door. As long as it did so within the
// last freshFor and a user was not among them, what it has read of the user within trustedFor is what the store has:
// were it older than a change, that change would have begun less than trustedFor + changeWithin ago, and so be announced
// still. The rest of announcedFor is for clocks that differ and for writes that arrive after their writer gave up.
//
// So nobody waits for the store because they come once in a while, and the store is asked twice a second for a process
// and once in trustedFor for a person, where it would be once a second for each person.
type watch struct {
	store  store.Store
	clock  clock.Clock
	logger *slog.Logger
	wake   chan struct{} // somebody came to the door while nobody asked

	mu      sync.Mutex
	asleep  bool
	wanted  time.Time             // when somebody last came to the door
	begun   time.Time             // when the announcements were asked for that are known; zero: never
	known   map[tutti.ID]struct{} // the users who are named
	tooMany bool                  // there were more than one page of them
}

const (
	watchEvery   = 500 * time.Millisecond
	trustedFor   = 40 * time.Second
	changeWithin = 15 * time.Second
	announcedFor = 90 * time.Second

	changesPK = "accounts/changes" // sort key: random; value: the user's id
)

func newWatch(c Config) *watch {
	return &watch{store: c.Store, clock: c.Clock, logger: c.Logger, wake: make(chan struct{}, 1), asleep: true}
}

// announce says that something will be taken away from a user. The context that it returns ends when that may not be
// done any more; the caller calls cancel. A nil watch has nobody to tell.
func (w *watch) announce(ctx context.Context, user tutti.ID) (within context.Context, cancel context.CancelFunc, err error) {
	if w == nil {
		return ctx, func() {}, nil
	}
	gone := w.clock.Now().Add(announcedFor)
	within, cancel = context.WithTimeout(ctx, changeWithin)
	_, err = w.store.Put(within, store.Key{PK: changesPK, SK: randomDigits(26)}, []byte(user), gone, store.IfAbsent)
	return within, cancel, err
}

// want says that somebody is at the door, so that announcements are worth asking for.
func (w *watch) want(now time.Time) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wanted = now
	if !w.asleep {
		return
	}
	w.asleep = false
	select {
	case w.wake <- struct{}{}:
	default: // nobody has looked since it was last told
	}
}

// vouches reports whether what was read of a user at some time is still what the store has, or was a freshFor ago.
func (w *watch) vouches(user tutti.ID, read, now time.Time) bool {
	if w == nil || now.Sub(read) >= trustedFor {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, changing := w.known[user]
	return !w.begun.IsZero() && now.Sub(w.begun) < freshFor && !w.tooMany && !changing
}

// ask learns the announcements.
func (w *watch) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	begun := w.clock.Now()
	page, err := w.store.Query(ctx, changesPK, "", "", store.MaxPage)
	if err != nil {
		return err
	}
	known := make(map[tutti.ID]struct{}, len(page.Items))
	for _, it := range page.Items {
		known[tutti.ID(it.Value)] = struct{}{}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun, w.known, w.tooMany = begun, known, page.Next != ""
	return nil
}

// run asks for announcements while somebody comes to the door, until ctx ends.
func (w *watch) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.wake:
		}
		for again := true; again; again = !w.sleeps() {
			next := w.clock.Now().Add(watchEvery)
			if err := w.ask(ctx); err != nil && ctx.Err() == nil {
				w.logger.DebugContext(ctx, "what other nodes are changing could not be learnt; accounts are asked for one by one", "err", err)
			}
			if clock.Sleep(ctx, w.clock, next.Sub(w.clock.Now())) != nil {
				return nil
			}
		}
	}
}

// sleeps reports whether nobody has come to the door for so long that nothing is remembered any more that could be
// vouched for; then the next who comes wakes it.
func (w *watch) sleeps() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asleep = w.clock.Now().Sub(w.wanted) >= trustedFor
	return w.asleep
}
