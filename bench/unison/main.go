// Command unison measures how far apart the players of a room are, by ear: every player has a stereo pair of one sound card
// that goes nowhere (a PulseAudio server of its own), what they play is recorded there, and the recording says in windows of
// a second by how much one is behind the other. It writes docs/unison.md with its plots.
//
// Scheduling, a loaded machine and PulseAudio itself are in what is heard, and the same for all that are heard at once: two
// unmodified Snapcast clients of tutti are heard beside two of Debian's snapserver, in one recording.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

type options struct {
	bin, out, chromium string
	only               string
	length, settle     time.Duration
	realtime           bool
}

// measured is two players that were heard together.
type measured struct {
	scenario, what string
	series         series
}

// scenario is players that are heard at once.
type scenario struct {
	name string
	run  func(ctx context.Context, o options, dir string) ([]measured, error)
}

var scenarios = []scenario{{"snapcast", snapcast}, {"pages", pages}, {"mixed", mixed}}

func main() {
	var o options
	flag.StringVar(&o.bin, "bin", "bin/tutti", "the program to measure")
	flag.StringVar(&o.out, "out", "docs/unison.md", "where to write the table, and the plots beside it; - prints the table only")
	flag.StringVar(&o.chromium, "chromium", "chromium", "the browser")
	flag.StringVar(&o.only, "only", "", "which to measure, separated by commas: snapcast, pages, mixed; all without")
	flag.DurationVar(&o.length, "length", 5*time.Minute, "how long each is recorded")
	flag.DurationVar(&o.settle, "settle", 30*time.Second, "how long players have before that: the sound servers' own delays take their time to be known")
	flag.BoolVar(&o.realtime, "realtime", true, "run players and the sound card at real-time priority (chrt --rr), as a household's players have a machine each")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "unison:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	programs := []string{o.bin, o.chromium, "pulseaudio", "pactl", "parec", "snapclient", "snapserver"}
	if o.realtime {
		programs = append(programs, "chrt")
	}
	if err := need(programs...); err != nil {
		return err
	}
	var all []measured
	for _, s := range scenarios {
		if o.only != "" && !slices.Contains(strings.Split(o.only, ","), s.name) {
			continue
		}
		dir, err := os.MkdirTemp("", "tutti-unison-")
		if err != nil {
			return err
		}
		found, err := s.run(ctx, o, dir)
		if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		all = append(all, found...)
	}
	if len(all) == 0 {
		return fmt.Errorf("nothing is called %q", o.only)
	}
	return report(o, all)
}

// noise is longer than everything that is heard of it.
func (o options) noise() time.Duration { return 2*o.length + 3*o.settle + 3*patience }

// snapcast hears two clients of tutti and two of snapserver at once.
func snapcast(ctx context.Context, o options, dir string) (_ []measured, err error) {
	ps := &processes{realtime: o.realtime}
	defer ps.stop()
	card, err := startSoundcard(ctx, ps, dir)
	if err != nil {
		return nil, err
	}
	t, err := startTutti(ctx, ps, o.bin, dir, o.noise())
	if err != nil {
		return nil, err
	}
	reference, err := startSnapserver(ctx, ps, dir)
	if err != nil {
		return nil, err
	}
	for pair, port := range []string{t.snapcast, t.snapcast, reference, reference} {
		if err := startSnapclient(ps, card, pair, port); err != nil {
			return nil, err
		}
	}
	if err := t.joined(ctx, 2); err != nil {
		return nil, err
	}
	heard, err := listen(ctx, o, ps, card, dir)
	if err != nil {
		return nil, err
	}
	return []measured{
		{"snapcast", "two snapclients on tutti", compare(heard[0], heard[2])},
		{"snapcast", "two snapclients on snapserver, in the same recording", compare(heard[4], heard[6])},
	}, nil
}

// pages hears two browsers.
func pages(ctx context.Context, o options, dir string) ([]measured, error) {
	ps := &processes{realtime: o.realtime}
	defer ps.stop()
	card, err := startSoundcard(ctx, ps, dir)
	if err != nil {
		return nil, err
	}
	t, err := startTutti(ctx, ps, o.bin, dir, o.noise())
	if err != nil {
		return nil, err
	}
	for pair := range 2 {
		if err := startPage(ctx, ps, card, pair, o.chromium, dir, t); err != nil {
			return nil, err
		}
	}
	if err := t.joined(ctx, 2); err != nil {
		return nil, err
	}
	heard, err := listen(ctx, o, ps, card, dir)
	if err != nil {
		return nil, err
	}
	return []measured{{"pages", "two Chromium pages", compare(heard[0], heard[2])}}, nil
}

// mixed hears a Snapcast client and a page in one room, as they are, and once more when the page has been given what it was
// behind as its offset: what a person does by ear, or the page by microphone.
func mixed(ctx context.Context, o options, dir string) ([]measured, error) {
	ps := &processes{realtime: o.realtime}
	defer ps.stop()
	card, err := startSoundcard(ctx, ps, dir)
	if err != nil {
		return nil, err
	}
	t, err := startTutti(ctx, ps, o.bin, dir, o.noise())
	if err != nil {
		return nil, err
	}
	if err := startSnapclient(ps, card, 0, t.snapcast); err != nil {
		return nil, err
	}
	if err := startPage(ctx, ps, card, 1, o.chromium, dir, t); err != nil {
		return nil, err
	}
	if err := t.joined(ctx, 2); err != nil {
		return nil, err
	}
	heard, err := listen(ctx, o, ps, card, dir)
	if err != nil {
		return nil, err
	}
	asIs := compare(heard[0], heard[2])
	out := []measured{{"mixed", "a snapclient and a page", asIs}}
	late := math.Round(asIs.middle() / 1000)
	if math.IsNaN(late) {
		return out, nil
	}
	all, err := t.players(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		if p.Kind == "web" {
			if err := t.call(ctx, http.MethodPut, "room-players/"+p.ID, map[string]any{"latencyMs": p.LatencyMs + int64(late)}, nil); err != nil {
				return nil, err
			}
		}
	}
	if heard, err = listen(ctx, o, ps, card, dir); err != nil {
		return nil, err
	}
	return append(out, measured{"mixed", fmt.Sprintf("the same, the page given %+.0f ms", late), compare(heard[0], heard[2])}), nil
}

// listen lets players settle, and records them.
func listen(ctx context.Context, o options, ps *processes, card *soundcard, dir string) ([][]float32, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(o.settle):
	}
	return card.record(ctx, ps, o.length, filepath.Clean(dir))
}
