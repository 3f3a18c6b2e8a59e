package fleet

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Writers are people who star songs, count plays and keep playlists all the time, and remember what was acknowledged.
type Writers struct {
	client *Client
	cancel context.CancelFunc
	wg     sync.WaitGroup

	gate   sync.RWMutex // held for reading by each request, and by who must have none under way
	mu     sync.Mutex
	songs  map[string]*written
	lists  map[string]bool // names of playlists whose making was acknowledged
	counts WriteStats
}

// written is what one song must look like.
type written struct {
	unsure  bool // the last request about the star got no answer: either is right
	starred bool
	plays   int // acknowledged
	maybe   int // asked for without an answer
}

// WriteStats counts what became of requests that change something.
type WriteStats struct {
	Acknowledged, Failed int
	Stale                int           // reads right after an acknowledgement that did not show it
	Slowest              time.Duration // of them all
	SlowestFailure       time.Duration
	Examples             []string
}

// StartWriters lets n writers begin, each on songs of its own and perSecond times a second. Stop ends them.
func StartWriters(ctx context.Context, c *Client, songs []Track, n, perSecond int) *Writers {
	ctx, cancel := context.WithCancel(ctx)
	w := &Writers{client: c, cancel: cancel, songs: map[string]*written{}, lists: map[string]bool{}}
	for _, s := range songs {
		w.songs[s.ID] = &written{starred: s.Starred != "", plays: s.PlayCount}
	}
	for i := range n {
		w.wg.Go(func() {
			for k := i; ctx.Err() == nil; k += n {
				w.write(ctx, songs[k%(len(songs)/n*n)].ID, k) // no two writers share a song
				_ = wait(ctx, time.Second/time.Duration(perSecond))
			}
		})
	}
	return w
}

// Stop ends the writers.
func (w *Writers) Stop() {
	w.cancel()
	w.wg.Wait()
}

// Take returns what happened since it was last called.
func (w *Writers) Take() WriteStats {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.counts
	w.counts = WriteStats{}
	return s
}

// write makes one change to a song. k says which.
func (w *Writers) write(ctx context.Context, id string, k int) {
	w.gate.RLock()
	defer w.gate.RUnlock()
	w.mu.Lock()
	want := !w.songs[id].starred
	w.mu.Unlock()
	endpoint, params, list := "star", url.Values{"id": {id}}, ""
	switch {
	case k%3 == 1:
		endpoint, params = "scrobble", url.Values{"id": {id}, "submission": {"true"}, "time": {strconv.FormatInt(time.Now().UnixMilli(), 10)}}
	case k%29 == 0:
		list = fmt.Sprintf("list %d", k)
		endpoint, params = "createPlaylist", url.Values{"name": {list}, "songId": {id}}
	case !want:
		endpoint = "unstar"
	}
	begin := time.Now()
	// The request has a time of its own, so that the end of the test does not leave it half answered.
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	err := w.client.Call(call, endpoint, params, "", nil)
	took := time.Since(begin)
	stale := ""
	if err == nil && (endpoint == "star" || endpoint == "unstar") {
		// The next request may go to other processes, and sees it nevertheless.
		var song Song
		if e := w.client.Call(call, "getSong", url.Values{"id": {id}}, "song", &song); e == nil && (song.Starred != "") != want {
			stale = fmt.Sprintf("%s %s: not seen right afterwards", begin.Format("15:04:05.000"), endpoint)
		}
	}

	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.songs[id]
	switch {
	case endpoint == "scrobble" && err == nil:
		s.plays++
	case endpoint == "scrobble":
		s.maybe++
	case list != "":
		if err == nil {
			w.lists[list] = true
		}
	case err == nil:
		s.starred, s.unsure = want, false
	default:
		s.unsure = true
	}
	w.counts.Slowest = max(w.counts.Slowest, took)
	if stale != "" {
		w.counts.Stale++
		w.counts.Examples = append(w.counts.Examples, stale)
	}
	if err == nil {
		w.counts.Acknowledged++
		return
	}
	w.counts.Failed++
	w.counts.SlowestFailure = max(w.counts.SlowestFailure, took)
	if len(w.counts.Examples) < 5 {
		w.counts.Examples = append(w.counts.Examples, fmt.Sprintf("%s %s after %v: %v", begin.Format("15:04:05.000"), endpoint, took.Round(time.Millisecond), err))
	}
}

// Lost asks, through the given client, for everything that was acknowledged, and returns what is not there. The writers
// pause meanwhile.
func (w *Writers) Lost(ctx context.Context, c *Client) ([]string, error) {
	w.gate.Lock()
	defer w.gate.Unlock()
	var lost []string
	for id, s := range w.songs {
		var song Song
		if err := c.Call(ctx, "getSong", url.Values{"id": {id}}, "song", &song); err != nil {
			return nil, err
		}
		if !s.unsure && s.starred != (song.Starred != "") {
			lost = append(lost, fmt.Sprintf("%s: acknowledged starred %v, found %v", song.Title, s.starred, !s.starred))
		}
		if song.PlayCount < s.plays {
			lost = append(lost, fmt.Sprintf("%s: %d plays acknowledged, found %d", song.Title, s.plays, song.PlayCount))
		}
	}
	var lists struct {
		Playlist []struct {
			Name string `json:"name"`
		} `json:"playlist"`
	}
	if err := c.Call(ctx, "getPlaylists", nil, "playlists", &lists); err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for _, p := range lists.Playlist {
		if strings.HasPrefix(p.Name, "list ") {
			found[p.Name] = true
		}
	}
	for name := range w.lists {
		if !found[name] {
			lost = append(lost, fmt.Sprintf("the playlist %q", name))
		}
	}
	return lost, nil
}
