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
	var chosen []scenario
	for _, s := range scenarios {
		if o.only == "" || slices.Contains(strings.Split(o.only, ","), s.name) {
			chosen = append(chosen, s)
		}
	}
	if len(chosen) == 0 {
		return fmt.Errorf("nothing is called %q", o.only)
	}
	var all []measured
	var failed error
	for _, s := range chosen {
		if ctx.Err() != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", s.name, ctx.Err()))
			break
		}
		progress("%s: %s to settle, %s to hear", s.name, o.settle, o.length)
		found, err := inFolder(func(dir string) ([]measured, error) { return s.run(ctx, o, dir) })
		all = append(all, found...)
		for _, m := range found {
			progress("%s: %s: p50 %s, p99 %s, %d windows and %d silent", s.name, m.what, micros(m.series.apart(0.5)), micros(m.series.apart(0.99)), len(m.series.us), m.series.blank)
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", s.name, err)
			progress("%v", err)
			failed = errors.Join(failed, err)
		}
	}
	if len(all) == 0 {
		return failed
	}
	// What took minutes to measure is worth having, whatever came after it.
	return errors.Join(report(o, all, failed), failed)
}

// progress tells whoever waits how far it is.
func progress(format string, a ...any) {
	fmt.Fprintln(os.Stderr, time.Now().Format(time.TimeOnly), fmt.Sprintf(format, a...))
}

// inFolder measures in a folder that is gone afterwards. What was measured comes back beside an error.
func inFolder(measure func(dir string) ([]measured, error)) (found []measured, err error) {
	dir, err := os.MkdirTemp("", "tutti-unison-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return measure(dir)
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
	if err := t.joined(ctx, ps, 2); err != nil {
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
	if err := t.joined(ctx, ps, 2); err != nil {
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
	if err := t.joined(ctx, ps, 2); err != nil {
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
		return out, err
	}
	for _, p := range all {
		if p.Kind == "web" {
			if err := t.call(ctx, http.MethodPut, "room-players/"+p.ID, map[string]any{"latencyMs": p.LatencyMs + int64(late)}, nil); err != nil {
				return out, err
			}
		}
	}
	if heard, err = listen(ctx, o, ps, card, dir); err != nil {
		return out, err
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
