package fleet

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// TestRoom: players that hang on different delivery processes hear the same samples at the same moments. When the
// process that leads the room is killed, they hear nothing of it: no sample is missing, none comes twice, none comes at
// another time than it would have.
func TestRoom(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	const rate, seconds = 48000, 60 // the rooms' own rate, so that what is heard are the file's own samples
	album := Music{Album: "White Water", Tracks: 1, Bytes: rate * 4 * seconds, Rate: rate}
	_, err := album.Write(filepath.Join(dir, "music"))
	must(t, err)
	f, err := Start(ctx, Config{
		Bin: program(t), Dir: filepath.Join(dir, "f"), Music: filepath.Join(dir, "music"), Engine: SQLite, Delivery: 3, Catalog: 1, TrackCache: 1,
		Args: map[string][]string{RoleDelivery: {"--snapcast-format", "pcm", "--sendspin", "off"}},
	})
	must(t, err)
	t.Cleanup(func() {
		must(t, f.Stop(context.Background()))
		if t.Failed() {
			logs(t, f)
		}
	})
	must(t, f.Client().Scanned(ctx, 1))
	all := f.Role(RoleDelivery)
	command := func(p *Process, args ...string) {
		t.Helper()
		if b, err := exec.Command(f.config.Bin, append(args, "--data", p.Data)...).CombinedOutput(); err != nil {
			t.Fatalf("tutti %v: %v\n%s", args, err, b)
		}
	}
	leader := func(among []*Process) (out *Process) {
		t.Helper()
		must(t, until(ctx, func() (bool, error) {
			for _, p := range among {
				b, err := os.ReadFile(p.Log)
				if err != nil {
					return false, err
				}
				for line := range bytes.Lines(b) {
					if bytes.Contains(line, []byte(`"holding the lease"`)) && bytes.Contains(line, []byte(`"room#`)) {
						out = p
						return true, nil
					}
				}
			}
			return false, nil
		}))
		return out
	}
	command(all[0], "room", "play", "white", "water")
	first := leader(all)
	others := slices.DeleteFunc(slices.Clone(all), func(p *Process) bool { return p == first })
	ears := []*ear{listen(t, others[0].Snapcast, "kitchen"), listen(t, others[1].Snapcast, "bath")}
	heard := func(more int) {
		t.Helper()
		for _, e := range ears {
			from := e.blocks()
			must(t, until(ctx, func() (bool, error) { return e.blocks() >= from+more, nil }))
		}
	}
	const second = 50 // blocks
	heard(2 * second) // the track is made meanwhile, and both have come in
	from := ears[0].latest()
	heard(second)
	must(t, first.Kill())
	next := leader(others)
	heard(2 * second)
	t.Logf("%s led, then %s", first.Name, next.Name)
	must(t, first.Start(ctx))
	command(first, "room", "pause")

	source := noise(album.Album, 1, album.Bytes)
	for _, e := range ears {
		if e.leave(); !errors.Is(e.err, net.ErrClosed) {
			t.Error(e.err)
		}
	}
	for _, e := range ears {
		maps.DeleteFunc(e.heard, func(stamp int64, _ []byte) bool { return stamp < from })
	}
	a, b := ears[0].heard, ears[1].heard
	var zero int64 // the stamp of the track's first sample
	for n, e := range ears {
		stamps := slices.Sorted(maps.Keys(e.heard))
		for i, stamp := range stamps {
			if i > 0 && (stamp-stamps[i-1] < 19_999 || stamp-stamps[i-1] > 20_001) { // microseconds, rounded down
				t.Fatalf("player %d: after the block at %d µs comes that at %d µs", n, stamps[i-1], stamp)
			}
			if n == 0 && i == 0 {
				at := bytes.Index(source, e.heard[stamp])
				if at < 0 {
					t.Fatal("what is heard first is not in the file")
				}
				zero = stamp - int64(at/4)*1e6/rate
			}
			at := (stamp - zero + 10_000) / 20_000 * 960 * 4
			if !bytes.Equal(e.heard[stamp], source[at:at+960*4]) {
				t.Fatalf("player %d: the block at %d µs is not the file's at %.3f s", n, stamp, float64(stamp-zero)/1e6)
			}
		}
	}
	both := 0
	for stamp := range a {
		if b[stamp] != nil {
			both++
		}
	}
	if both < 3*second {
		t.Errorf("both players heard %d blocks at the same moments", both)
	}
}

// ear is a Snapcast client that remembers which samples it was sent for which moment.
type ear struct {
	conn net.Conn
	done chan struct{}

	mu    sync.Mutex
	heard map[int64][]byte // by their stamp, in microseconds
	err   error
}

// listen joins a room as Snapcast's protocol has it (doc/binary_protocol.md, version 2).
func listen(t *testing.T, address, id string) *ear {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	must(t, err)
	hello, err := json.Marshal(map[string]any{"ID": id, "MAC": id, "HostName": id, "Instance": 1, "SnapStreamProtocolVersion": 2})
	must(t, err)
	u32 := func(n int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }
	message := append(binary.LittleEndian.AppendUint16(nil, 5), make([]byte, 20)...) // type 5, no stamps
	message = append(append(message, u32(4+len(hello))...), u32(len(hello))...)
	_, err = conn.Write(append(message, hello...))
	must(t, err)
	e := &ear{conn: conn, done: make(chan struct{}), heard: map[int64][]byte{}}
	go func() {
		defer close(e.done)
		err := e.take()
		e.mu.Lock()
		defer e.mu.Unlock()
		e.err = err
	}()
	t.Cleanup(func() { e.leave() })
	return e
}

func (e *ear) take() error {
	for {
		var head [26]byte
		if _, err := io.ReadFull(e.conn, head[:]); err != nil {
			return err
		}
		body := make([]byte, binary.LittleEndian.Uint32(head[22:]))
		if _, err := io.ReadFull(e.conn, body); err != nil {
			return err
		}
		if binary.LittleEndian.Uint16(head[:]) != 2 || len(body) < 12 { // a block of sound
			continue
		}
		stamp := int64(binary.LittleEndian.Uint32(body))*1e6 + int64(binary.LittleEndian.Uint32(body[4:]))
		e.mu.Lock()
		if e.heard[stamp] != nil && !bytes.Equal(e.heard[stamp], body[12:]) {
			e.mu.Unlock()
			return errors.New("two blocks came for one moment")
		}
		e.heard[stamp] = body[12:]
		e.mu.Unlock()
	}
}

// blocks is how many were heard.
func (e *ear) blocks() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.heard)
}

// latest is the stamp of the block that is heard last.
func (e *ear) latest() (at int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for stamp := range e.heard {
		at = max(at, stamp)
	}
	return at
}

func (e *ear) leave() {
	_ = e.conn.Close()
	<-e.done
}
