package subsonic

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tutti"
	"tutti/clock"
)

// TestPlayback tells stories of a player, one report a line: seconds since the story began, song, state, position in
// seconds, and what else was sent. Songs: "a" has 200 s, "long" 20 minutes, "unknown" none that is known.
func TestPlayback(t *testing.T) {
	lengths := map[string]time.Duration{"a": 200 * time.Second, "b": 200 * time.Second, "long": 20 * time.Minute, "unknown": 0}
	for _, c := range []struct{ name, story, want string }{
		{"played to its end", "0 a starting 0\n1 a playing 0\n201 a stopped 200", "a@0"},
		{"half of it", "0 a playing 0\n100 a stopped 100", "a@0"},
		{"less than half", "0 a playing 0\n99 a stopped 99", ""},
		{"four minutes of a long one", "0 long playing 0\n240 long stopped 240", "long@0"},
		{"not quite", "0 long playing 0\n239 long stopped 239", ""},
		{"seeking is not listening", "0 a playing 0\n5 a playing 190\n12 a stopped 197", ""},
		{"pauses do not count", "0 a playing 0\n60 a paused 60\n600 a playing 60\n639 a stopped 99", ""},
		{"pauses do not discount", "0 a playing 0\n60 a paused 60\n600 a playing 60\n640 a stopped 100", "a@0"},
		{"buffering does not count", "0 a starting 0\n95 a playing 0\n100 a stopped 5", ""},
		{"twice as fast", "0 a playing 0 rate=2\n50 a stopped 100", "a@0"},
		{"the client counts by itself", "0 a playing 0 ignore\n200 a stopped 200", ""},
		{"and says so late", "0 a playing 0\n200 a stopped 200 ignore", ""},
		{"another song follows", "0 a playing 0\n200 b starting 0\n201 b playing 0\n401 b stopped 200", "a@0 b@200"},
		{"the same again", "0 a playing 0\n200 a starting 0\n201 a playing 0\n401 a stopped 200", "a@0 a@200"},
		{"silence does not run on", "0 a playing 0\n1900 a stopped 200", "a@0"},
		{"nothing is awaited for ever", "0 a playing 0\n2001 a stopped 200", ""},
		{"a pause may be long", "0 a playing 0\n150 a paused 150\n40000 a stopped 150", "a@0"},
		{"reports every ten seconds", strings.Repeat("+10 a playing 0\n", 12) + "+10 a stopped 120", "a@10"},
		{"stopped without a start", "0 a stopped 200", ""},
		{"of unknown length", "0 unknown playing 0\n239 unknown stopped 239", ""},
		{"of unknown length, long enough", "0 unknown playing 0\n240 unknown stopped 240", "unknown@0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			begin := time.Date(2026, 3, 14, 0, 0, 0, 0, time.UTC)
			fake := clock.NewFake(begin)
			p := newPlayback(fake)
			var got []string
			at := 0
			for line := range strings.Lines(c.story) {
				f := strings.Fields(line)
				var n int
				if _, err := fmt.Sscan(strings.TrimPrefix(f[0], "+"), &n); err != nil {
					t.Fatal(err)
				}
				if !strings.HasPrefix(f[0], "+") {
					n -= at
				}
				fake.Advance(time.Duration(n) * time.Second)
				at += n
				var position int
				if _, err := fmt.Sscan(f[3], &position); err != nil {
					t.Fatal(err)
				}
				r := tutti.Playing{
					User: "us", Player: "p", Track: tutti.Track{ID: tutti.ID(f[1]), Duration: lengths[f[1]]},
					State: f[2], Position: time.Duration(position) * time.Second, Rate: 1,
				}
				ignore := false
				for _, more := range f[4:] {
					switch more {
					case "ignore":
						ignore = true
					case "rate=2":
						r.Rate = 2
					}
				}
				for _, play := range p.report(&r, ignore) {
					got = append(got, fmt.Sprintf("%s@%d", play.Track, int(play.At.Sub(begin).Seconds())))
				}
			}
			if g := strings.Join(got, " "); g != c.want {
				t.Errorf("counted %q, want %q", g, c.want)
			}
		})
	}
}

// TestPlaybackIsBounded: inventing players fills no memory, and old ones make room.
func TestPlaybackIsBounded(t *testing.T) {
	fake := clock.NewFake(time.Unix(1_800_000_000, 0))
	p := newPlayback(fake)
	report := func(n int) {
		p.report(&tutti.Playing{User: "us", Player: fmt.Sprint(n), Track: tutti.Track{ID: "a", Duration: time.Minute}, State: "playing", Rate: 1}, false)
	}
	for n := range maxPlayers + 100 {
		report(n)
	}
	if len(p.players) != maxPlayers {
		t.Errorf("%d players are followed", len(p.players))
	}
	fake.Advance(time.Hour)
	report(-1)
	if len(p.players) != 1 {
		t.Errorf("%d players are followed an hour after they ended", len(p.players))
	}
}
