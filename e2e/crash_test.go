package e2e

import (
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
)

// TestKilledServerLosesNothing kills the server under writes, again and again on the same data, and checks that what
// it acknowledged is there after the next start, which needs no repair.
func TestKilledServerLosesNothing(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	music := []string{wesnoth(t)}
	starred := map[string]bool{} // acknowledged state by song
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 12 {
		s := start(t, data, music)
		if round == 0 {
			s.scanned()
		}
		songs := s.songs()
		if len(songs) == 0 {
			t.Fatalf("round %d: the library is empty", round)
		}
		for _, song := range songs {
			if want, known := starred[song.ID]; known && want != (song.Starred != "") {
				t.Fatalf("round %d: %s: acknowledged starred=%v, found %v", round, song.Title, want, !want)
			}
		}
		var mu sync.Mutex
		var writers sync.WaitGroup
		acknowledged, enough := 0, make(chan struct{})
		target := 1 + random.IntN(60)
		for w := range 4 {
			writers.Go(func() {
				for i := w; ; i += 4 {
					if i >= len(songs) {
						i = w // no two writers share a song, so its last acknowledgement is its state
					}
					song := songs[i]
					mu.Lock()
					want := !starred[song.ID]
					mu.Unlock()
					endpoint := "unstar"
					if want {
						endpoint = "star"
					}
					if err := s.tryCall(endpoint, url.Values{"id": {song.ID}}, "", nil); err != nil {
						// Killed in flight: either outcome is right, so the next round must not expect one.
						mu.Lock()
						delete(starred, song.ID)
						mu.Unlock()
						return
					}
					mu.Lock()
					starred[song.ID] = want
					acknowledged++
					if acknowledged == target {
						close(enough)
					}
					mu.Unlock()
				}
			})
		}
		<-enough
		s.kill()
		writers.Wait()
	}
}
