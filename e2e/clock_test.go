package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"tutti/clock"
)

// chronyd starts Debian's chrony on loopback, serving this machine's own time without touching it, and returns its address.
func chronyd(t *testing.T) string {
	t.Helper()
	program := need(t, "chronyd")
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	address := freeUDP(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "chrony.conf")
	text := fmt.Sprintf("port %s\nbindaddress 127.0.0.1\ncmdport 0\nbindcmdaddress /\npidfile %s/pid\nlocal stratum 8\nallow 127.0.0.0/8\n", port, dir)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	beside(t, program, "-x", "-d", "-U", "-u", me.Username, "-f", conf)
	return address
}

func freeUDP(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().String()
}

// relay passes packets on to a server and back, each after a delay that delay tells, and returns its address.
func relay(t *testing.T, server string, delay func() time.Duration) string {
	t.Helper()
	front, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var pending sync.WaitGroup
	var mu sync.Mutex
	backs := map[string]net.Conn{}
	t.Cleanup(func() {
		_ = front.Close()
		mu.Lock()
		for _, c := range backs {
			_ = c.Close()
		}
		mu.Unlock()
		pending.Wait()
	})
	pending.Go(func() {
		b := make([]byte, 512)
		for {
			n, from, err := front.ReadFrom(b)
			if err != nil {
				return
			}
			mu.Lock()
			back := backs[from.String()]
			if back == nil {
				if back, err = net.Dial("udp", server); err != nil {
					mu.Unlock()
					return
				}
				backs[from.String()] = back
				pending.Go(func() {
					b := make([]byte, 512)
					for {
						n, err := back.Read(b)
						if err != nil {
							return
						}
						packet := bytes.Clone(b[:n])
						pending.Go(func() { later(delay()); _, _ = front.WriteTo(packet, from) })
					}
				})
			}
			mu.Unlock()
			packet := bytes.Clone(b[:n])
			pending.Go(func() { later(delay()); _, _ = back.Write(packet) })
		}
	})
	return front.LocalAddr().String()
}

// later is the delay of a network: that it takes time is what it is for.
func later(d time.Duration) { time.Sleep(d) }

// drifting is a real oscillator that runs fast by some parts per million.
type drifting struct {
	clock.Oscillator
	ppm float64
}

func (d drifting) Elapsed() time.Duration {
	e := d.Oscillator.Elapsed()
	return e + time.Duration(float64(e)*d.ppm*1e-6)
}

// TestClockAgainstChrony lets several clocks with drifting oscillators learn the time from a real chronyd, which serves the
// time of this machine: so how wrong each is can be seen.
func TestClockAgainstChrony(t *testing.T) {
	address := chronyd(t)
	rng := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex
	jittery := relay(t, address, func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return time.Duration(rng.ExpFloat64() * float64(2*time.Millisecond))
	})
	type learner struct {
		name   string
		clock  *clock.Disciplined
		wrong  []time.Duration
		missed int
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	var all []*learner
	for _, l := range []struct {
		name, server string
		ppm          float64
	}{{"-90 ppm", address, -90}, {"as it is", address, 0}, {"+75 ppm", address, 75}, {"2 ms of jitter each way", jittery, 30}} {
		machine, begin := clock.NewMachine()
		osc := drifting{machine, l.ppm}
		source, err := clock.NewNTP(l.server, osc, begin)
		if err != nil {
			t.Fatal(err)
		}
		d := clock.NewDisciplined(clock.Config{Oscillator: osc, Begin: begin, Sources: []clock.Source{source}})
		running.Go(func() { _ = d.Run(ctx) })
		all = append(all, &learner{name: l.name, clock: d})
	}
	began := time.Now()
	for _, l := range all {
		select {
		case <-l.clock.Ready():
		case <-time.After(patience):
			t.Fatalf("%s: %+v", l.name, l.clock.State())
		}
	}
	length := 40 * time.Second
	if os.Getenv("TUTTI_CLOCK") == "LONG" {
		length = 20 * time.Minute
	}
	var apart []time.Duration
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		took := time.Since(began)
		if took > length {
			break
		}
		if took < 8*time.Second {
			continue // the rate is being learned
		}
		lowest, highest := time.Duration(1<<62), -time.Duration(1<<62)
		for n, l := range all {
			before, r, after := lookAt(l.clock)
			if after.Sub(before) > 10*time.Microsecond {
				lowest = 0
				break // somebody else had the core each time: this says nothing
			}
			truth := before.Add(after.Sub(before) / 2)
			off := r.Time.Sub(truth)
			l.wrong = append(l.wrong, off.Abs())
			if after.Before(r.Earliest) || before.After(r.Latest) {
				l.missed++
			}
			if n < 3 {
				lowest, highest = min(lowest, off), max(highest, off)
			}
		}
		if lowest != 0 {
			apart = append(apart, highest-lowest)
		}
	}
	for _, l := range all {
		if len(l.wrong) < 100 {
			t.Skipf("%s could be looked at %d times only: the machine is too busy to measure on", l.name, len(l.wrong))
		}
		t.Logf("%-24s p50 %v, p99 %v wrong, %d of %d outside the bound; %+.1f ppm, bound %v", l.name, part(l.wrong, .5), part(l.wrong, .99), l.missed, len(l.wrong), l.clock.State().Skew, l.clock.Reading().Bound())
		if l.missed > 0 {
			t.Errorf("%s: %d of %d outside the bound", l.name, l.missed, len(l.wrong))
		}
	}
	t.Logf("three clocks are p50 %v, p99 %v apart", part(apart, .5), part(apart, .99))
	if os.Getenv("TUTTI_CLOCK") == "" {
		return // how busy the machine is decides what follows
	}
	for n, limit := range []time.Duration{20 * time.Microsecond, 20 * time.Microsecond, 20 * time.Microsecond, 150 * time.Microsecond} {
		if got := part(all[n].wrong, .99); got > limit {
			t.Errorf("%s: p99 %v wrong, allowed %v", all[n].name, got, limit)
		}
	}
	if got := part(apart, .99); got > 50*time.Microsecond {
		t.Errorf("three clocks are p99 %v apart, allowed 50µs", got)
	}
}

// lookAt reads a clock between two readings of the system's, as close together as can be had in some tries.
func lookAt(d *clock.Disciplined) (before time.Time, r clock.Reading, after time.Time) {
	for range 20 {
		b, reading, a := time.Now().Round(0), d.Reading(), time.Now().Round(0)
		if before.IsZero() || a.Sub(b) < after.Sub(before) {
			before, r, after = b, reading, a
		}
	}
	return before, r, after
}

func part(all []time.Duration, q float64) time.Duration {
	s := slices.Sorted(slices.Values(all))
	return s[min(len(s)-1, int(q*float64(len(s))))]
}

// TestClockOfServers: a server learns the time from chronyd and serves it to another; both say so.
func TestClockOfServers(t *testing.T) {
	address := chronyd(t)
	serves := freeUDP(t)
	first := start(t, t.TempDir(), []string{t.TempDir()}, "--clock-servers", address, "--clock-serve", "--clock-listen", serves)
	second := start(t, t.TempDir(), []string{t.TempDir()}, "--clock-servers", serves)
	for n, s := range []*server{first, second} {
		state := s.clock(t)
		if state.Status != clock.Synchronised || len(state.Sources) != 1 || !state.Sources[0].Selected || state.Stratum != 8+n || state.Bound > 100*time.Millisecond {
			t.Errorf("server %d: %+v", n, state)
		}
		if state.System.Abs() > state.Bound {
			t.Errorf("server %d: this machine's time, which chronyd serves, is %v from the server's, outside its bound of %v", n, state.System, state.Bound)
		}
	}
}

// clock asks a running server what it knows of the time, as `tutti clock` does.
func (s *server) clock(t *testing.T) clock.State {
	t.Helper()
	out, err := exec.Command(binary(t), "clock", "--json", "--data", s.Data, "--listen", s.URL[len("http://"):]).Output()
	if err != nil {
		t.Fatal(err)
	}
	var state clock.State
	if err := json.Unmarshal(out, &state); err != nil {
		t.Fatal(err)
	}
	return state
}
