package sqlite

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tutti/clock"
	"tutti/store"
)

// killChild is set, to the database's path, in the process that TestKill kills.
const killChild = "TUTTI_TEST_KILL_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(killChild); path != "" {
		if err := writeUntilKilled(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

const killWriters = 4

// killValue is what writer i writes the n-th time: what it is, followed by up to 64 KiB that follow from it.
func killValue(i int, n uint64) []byte {
	head := fmt.Appendf(nil, "%d %d ", i, n)
	size := 0
	switch n % 8 {
	case 3:
		size = 5000
	case 7:
		size = 64 << 10
	}
	return append(head, bytes.Repeat([]byte{byte(n)}, size)...)
}

// writeUntilKilled writes from several sides at once and prints each write when it is acknowledged.
func writeUntilKilled(path string) error {
	ctx := context.Background()
	fmt.Println("opening")
	s, err := Open(ctx, path, Options{Clock: clock.System})
	if err != nil {
		return err
	}
	fmt.Println("open")
	errs := make(chan error)
	for i := range killWriters {
		go func() { errs <- killWriter(ctx, s, i) }()
	}
	return <-errs
}

func killWriter(ctx context.Context, s *Store, i int) error {
	k := store.Key{PK: "kill", SK: strconv.Itoa(i)}
	log := "kill" + strconv.Itoa(i)
	seq, err := s.LastSeq(ctx, log)
	if err != nil {
		return err
	}
	for {
		seq++
		n, err := s.Put(ctx, k, killValue(i, 0), time.Time{}, store.Always)
		if err != nil {
			return err
		}
		if n, err = s.Put(ctx, k, killValue(i, n+1), time.Time{}, store.IfVersion(n)); err != nil {
			return err
		}
		fmt.Printf("put %d %d\n", i, n)
		if err := s.Append(ctx, log, seq, killValue(i, seq)); err != nil {
			return err
		}
		fmt.Printf("append %d %d\n", i, seq)
		if seq%50 == 0 {
			if err := s.TrimLog(ctx, log, seq-20); err != nil {
				return err
			}
			fmt.Printf("trim %d %d\n", i, seq-20)
		}
	}
}

// acknowledged is what the killed processes have promised, by writer.
type acknowledged struct{ put, appended, trimmed [killWriters]uint64 }

// TestKill kills a writing process with SIGKILL at random moments, while it makes the database, migrates, writes,
// commits and checkpoints, and sees each time that the next open finds it whole, with all that was acknowledged. TUTTI_TEST_KILLS
// sets how often.
func TestKill(t *testing.T) {
	kills := 200
	if testing.Short() {
		kills = 10
	}
	if n, err := strconv.Atoi(os.Getenv("TUTTI_TEST_KILLS")); err == nil {
		kills = n
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	const perFile = 25
	var total atomic.Int64
	t.Run("files", func(t *testing.T) { // which is over when all of them are
		for file := range (kills + perFile - 1) / perFile {
			t.Run(strconv.Itoa(file), func(t *testing.T) {
				t.Parallel() // they wait for the disk
				rng := rand.New(rand.NewPCG(seed, uint64(file)))
				path, promised := filepath.Join(t.TempDir(), "tutti.db"), acknowledged{}
				if file%2 == 0 { // every other one begins as a file of version 1
					path = fixture(t)
				}
				for kill := range min(perFile, kills-file*perFile) {
					lines := 1 + rng.IntN(3)
					if kill > 4 {
						lines = rng.IntN(120)
					}
					total.Add(int64(killOnce(t, path, lines, &promised)))
					checkKilled(t, path, &promised)
					if t.Failed() {
						t.Fatalf("after %d kills", kill+1)
					}
				}
			})
		}
	})
	t.Logf("%d kills, %d acknowledged writes", kills, total.Load())
	if total.Load() == 0 {
		t.Fatal("nothing was ever written")
	}
}

// killOnce starts a writing process, kills it after that many lines, and notes what it had acknowledged. It returns how many
// writes that were.
func killOnce(t *testing.T, path string, lines int, promised *acknowledged) (acks int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killChild+"="+path)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(out)
	for n := 0; ; n++ {
		if n == lines {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		if !in.Scan() { // what it printed before it died counts, even if it is read only now
			break
		}
		var what string
		var i int
		var v uint64
		if k, _ := fmt.Sscanf(in.Text()+"\n", "%s %d %d\n", &what, &i, &v); k != 3 {
			continue
		}
		acks++
		switch what {
		case "put":
			promised.put[i] = v
		case "append":
			promised.appended[i] = v
		case "trim":
			promised.trimmed[i] = v
		}
	}
	if err := cmd.Wait(); err == nil || stderr.Len() > 0 {
		t.Fatalf("the writer ended by itself: %v\n%s", err, &stderr)
	}
	return acks
}

func checkKilled(t *testing.T, path string, promised *acknowledged) {
	t.Helper()
	s, err := Open(t.Context(), path, Options{Clock: clock.System})
	if err != nil {
		t.Fatalf("open after a kill: %v", err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if v := s.version(t); v != len(migrations) {
		t.Errorf("schema %d", v)
	}
	if err := s.read(t.Context(), "check", func(c *conn) error { return integrity(t.Context(), c) }); err != nil {
		t.Error(err)
	}
	for i := range killWriters {
		checkKilledWriter(t, s, i, promised)
	}
}

func checkKilledWriter(t *testing.T, s *Store, i int, promised *acknowledged) {
	t.Helper()
	items, err := s.BatchGet(t.Context(), []store.Key{{PK: "kill", SK: strconv.Itoa(i)}})
	switch {
	case err != nil:
		t.Error(err)
	case len(items) == 0:
		if promised.put[i] != 0 {
			t.Errorf("writer %d: acknowledged write %d is gone", i, promised.put[i])
		}
	default:
		it := items[0]
		if it.Version < promised.put[i] {
			t.Errorf("writer %d: version %d, but %d was acknowledged", i, it.Version, promised.put[i])
		}
		if !bytes.Equal(it.Value, killValue(i, it.Version)) && !bytes.Equal(it.Value, killValue(i, 0)) {
			t.Errorf("writer %d: version %d holds %.20q with %d bytes", i, it.Version, it.Value, len(it.Value))
		}
	}
	log := "kill" + strconv.Itoa(i)
	last, err := s.LastSeq(t.Context(), log)
	if err != nil || last < promised.appended[i] {
		t.Errorf("%s ends at %d, but %d was acknowledged (%v)", log, last, promised.appended[i], err)
	}
	var next uint64
	for since := uint64(0); ; {
		r, err := s.ReadLog(t.Context(), log, since, store.MaxPage)
		if err != nil {
			t.Error(err)
			return
		}
		if len(r) == 0 {
			break
		}
		if next == 0 {
			next = r[0].Seq
			// A trim may have happened without being acknowledged, even where a kill kept the one before from being asked for.
			if trimmed := next - 1; trimmed < promised.trimmed[i] || trimmed > 0 && (trimmed%50 != 30 || trimmed+20 > last) {
				t.Errorf("%s begins at %d and ends at %d, trimmed to %d", log, next, last, promised.trimmed[i])
			}
		}
		for _, rec := range r {
			if rec.Seq != next || !bytes.Equal(rec.Value, killValue(i, next)) {
				t.Errorf("%s: record %d is %.20q, want %d", log, rec.Seq, rec.Value, next)
				return
			}
			next++
		}
		since = next - 1
	}
	if next != last+1 && last != 0 {
		t.Errorf("%s has records up to %d, its end is %d", log, next-1, last)
	}
}

// TestTwoProcesses has two processes write to one file at the same time: nobody is turned away.
func TestTwoProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tutti.db")
	s := openTest(t, path, clock.System)
	var promised acknowledged
	var wg sync.WaitGroup
	stop := make(chan struct{})
	writes := 0
	wg.Go(func() {
		for {
			if _, err := s.Put(t.Context(), store.Key{PK: "server", SK: "s"}, nil, time.Time{}, store.Always); err != nil {
				t.Error(err)
				return
			}
			writes++
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	acks := killOnce(t, path, 150, &promised)
	close(stop)
	wg.Wait()
	if acks < 140 || writes == 0 {
		t.Errorf("%d and %d writes", acks, writes)
	}
	it, err := s.Get(t.Context(), store.Key{PK: "server", SK: "s"})
	if err != nil || it.Version != uint64(writes) {
		t.Errorf("version %d after %d writes, %v", it.Version, writes, err)
	}
	checkKilled(t, path, &promised)
}
