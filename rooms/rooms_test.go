package rooms

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/mewkiz/flac"
	"go.uber.org/goleak"

	"tutti"
	"tutti/clock"
	"tutti/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// sounds is a catalogue and a track cache of a few tracks that are made of numbers: sample n of a track has n in its
// left channel and the track's number in its right one, so that every sample tells what it is.
type sounds struct {
	tutti.Browser
	lengths map[tutti.ID]int // samples
	missing map[tutti.ID]bool
}

func trackID(n int) tutti.ID { return tutti.NewID(tutti.PrefixTrack, uint64(n)) }

func (s *sounds) Plan(_ context.Context, r tutti.PlanRequest) (tutti.Plan, error) {
	if *r.Want.Exact != profile {
		return tutti.Plan{}, errors.New("asked for another profile")
	}
	if s.missing[r.Track] {
		return tutti.Plan{}, tutti.Errorf(tutti.KindUnavailable, "sounds.Plan", "the folder is away")
	}
	return tutti.Plan{
		Track: tutti.Track{ID: r.Track, Title: string(r.Track), Duration: length(int64(s.lengths[r.Track]), Rate)},
		Ref:   tutti.Ref{Path: string(r.Track), Profile: profile},
	}, nil
}

func (s *sounds) TracksByID(_ context.Context, _ tutti.Viewer, ids []tutti.ID) ([]tutti.Track, error) {
	var out []tutti.Track
	for _, id := range ids {
		if _, ok := s.lengths[id]; ok {
			out = append(out, tutti.Track{ID: id})
		}
	}
	return out, nil
}

func (s *sounds) Open(_ context.Context, r tutti.Ref) (tutti.Object, error) {
	id := tutti.ID(r.Path)
	n, _ := id.Number()
	b := waveHeader()
	for i := range s.lengths[id] {
		b = binary.LittleEndian.AppendUint16(b, uint16(i))
		b = binary.LittleEndian.AppendUint16(b, uint16(n))
	}
	return object{bytes.NewReader(b)}, nil
}

type object struct{ *bytes.Reader }

func (object) ModTime() time.Time  { return epoch }
func (object) ContentType() string { return "audio/wav" }
func (object) Close() error        { return nil }
func (o object) CopyRange(_ context.Context, w io.Writer, off, n int64) (int64, error) {
	return io.Copy(w, io.NewSectionReader(o.Reader, off, n))
}

func anybody(context.Context, tutti.ID) (tutti.User, error) { return tutti.User{}, nil }

// stage is a House in virtual time.
type stage struct {
	*House
	t     *testing.T
	clock *clock.Fake
	room  tutti.ID
	seen  *sounds
}

func open(t *testing.T, lengths ...int) *stage {
	t.Helper()
	fake := clock.NewFake(epoch)
	quiet := slog.New(slog.DiscardHandler)
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "tutti.db"), sqlite.Options{Clock: clock.System, Logger: quiet})
	must(t, err)
	seen := &sounds{lengths: map[tutti.ID]int{}, missing: map[tutti.ID]bool{}}
	for n, l := range lengths {
		seen.lengths[trackID(n+1)] = l
	}
	h, err := New(t.Context(), Config{Store: st, Planner: seen, Browser: seen, Source: seen, User: anybody, Clock: fake, Logger: quiet})
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		must(t, <-done)
		must(t, st.Close())
	})
	all, err := h.Rooms(t.Context(), tutti.Viewer{})
	must(t, err)
	return &stage{h, t, fake, all[0].ID, seen}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *stage) play(tracks ...int) tutti.Room {
	s.t.Helper()
	var ids []tutti.ID
	for _, n := range tracks {
		ids = append(ids, trackID(n))
	}
	r, err := s.PlayRoom(s.t.Context(), tutti.Viewer{}, s.room, tutti.RoomPlay{Tracks: ids})
	must(s.t, err)
	return r
}

func (s *stage) sit(id string) *Seat {
	s.t.Helper()
	seat, err := s.Sit(s.t.Context(), Arrival{ID: id, Name: id, Kind: "test", Address: "192.0.2.1"})
	must(s.t, err)
	return seat
}

// next takes the feed's next piece, letting time pass a block at a time until there is one.
func (s *stage) next(f *Feed) Piece {
	s.t.Helper()
	for {
		current, _ := f.seat.program()
		if current != f.program {
			break
		}
		if _, _, wait, err := current.block(f.format, f.next); wait == nil || err != nil {
			break
		}
		s.clock.WaitForTimers(1) // the room has sent what is due
		s.clock.Advance(20 * time.Millisecond)
	}
	p, err := f.Next(s.t.Context())
	must(s.t, err)
	return p
}

func sample(b []byte, n int) (index, track uint16) {
	return binary.LittleEndian.Uint16(b[n*FrameSize:]), binary.LittleEndian.Uint16(b[n*FrameSize+2:])
}

// TestGapless: the samples of one track follow those of the one before, on one line, whatever blocks they fall into.
func TestGapless(t *testing.T) {
	lengths := []int{5000, 1, 48001, 960}
	s := open(t, lengths...)
	feed := s.sit("a").Feed(PCM)
	if p := s.next(feed); !bytes.Equal(p.Header, waveHeader()) {
		t.Fatal("no header comes first")
	}
	s.play(1, 2, 3, 4)
	var heard []byte
	var line Timeline
	total := 0
	for _, l := range lengths {
		total += l
	}
	for len(heard) < total*FrameSize {
		p := s.next(feed)
		if p.Header != nil {
			continue
		}
		n := int64(len(heard) / FrameSize)
		if n == 0 {
			line = Timeline{At: p.Block.At, Rate: Rate}
		}
		if want := line.Time(n); !p.Block.At.Equal(want) {
			t.Fatalf("sample %d is to be heard at %v, want %v", n, p.Block.At, want)
		}
		if ahead := p.Block.At.Sub(s.clock.Now()); ahead > lead || ahead <= 0 {
			t.Fatalf("sample %d is sent %v before it is heard", n, ahead)
		}
		heard = append(heard, p.Block.Data...)
	}
	at := 0
	for track, l := range lengths {
		for i := range l {
			index, number := sample(heard, at)
			if int(index) != i%65536 || int(number) != track+1 {
				t.Fatalf("sample %d is sample %d of track %d, want %d of %d", at, index, number, i, track+1)
			}
			at++
		}
	}
	for ; at < len(heard)/FrameSize; at++ {
		if index, number := sample(heard, at); index != 0 || number != 0 {
			t.Fatalf("after the last track comes %d of %d", index, number)
		}
	}
}

func TestFLACIsTheSame(t *testing.T) {
	s := open(t, 20*blockSamples)
	pcm, coded := s.sit("a").Feed(PCM), s.sit("b").Feed(FLAC)
	s.next(pcm)
	header := s.next(coded).Header
	s.play(1)
	var plain []byte
	stream := header
	for len(plain) < 15*blockSamples*FrameSize {
		a, b := s.next(pcm), s.next(coded)
		if a.Header != nil {
			stream = b.Header
			continue
		}
		if !a.Block.At.Equal(b.Block.At) {
			t.Fatalf("one is to hear its block at %v, the other at %v", a.Block.At, b.Block.At)
		}
		plain, stream = append(plain, a.Block.Data...), append(stream, b.Block.Data...)
	}
	decoder, err := flac.New(bytes.NewReader(stream))
	must(t, err)
	at := 0
	for {
		f, err := decoder.ParseNext()
		if err != nil {
			break
		}
		for i := range int(f.BlockSize) {
			left, right := sample(plain, at)
			if uint16(f.Subframes[0].Samples[i]) != left || uint16(f.Subframes[1].Samples[i]) != right {
				t.Fatalf("sample %d differs", at)
			}
			at++
		}
	}
	if at*FrameSize != len(plain) {
		t.Errorf("%d samples decoded of %d", at, len(plain)/FrameSize)
	}
}

// TestPlaceAndPause: a room knows which sample is heard, and goes on from there.
func TestPlaceAndPause(t *testing.T) {
	s := open(t, 10*Rate, 10*Rate)
	feed := s.sit("a").Feed(PCM)
	s.next(feed)
	s.play(1, 2)
	for s.clock.Now().Sub(epoch) < startDelay+3*time.Second {
		s.next(feed)
	}
	r, err := s.Room(t.Context(), tutti.Viewer{}, s.room)
	must(t, err)
	want := s.clock.Now().Sub(epoch) - startDelay
	if !r.Playing || r.Current != 0 || (r.Position-want).Abs() > time.Millisecond {
		t.Errorf("at %v of %d, playing %v; want %v of the first", r.Position, r.Current, r.Playing, want)
	}
	r, err = s.PauseRoom(t.Context(), tutti.Viewer{}, s.room)
	must(t, err)
	if r.Playing || (r.Position-want).Abs() > time.Millisecond {
		t.Errorf("paused at %v", r.Position)
	}
	if p := s.next(feed); p.Header == nil {
		t.Error("players were not told to forget what they hold")
	}
	s.clock.Advance(time.Hour)
	_, err = s.ResumeRoom(t.Context(), tutti.Viewer{}, s.room)
	must(t, err)
	p := s.next(feed)
	for p.Header != nil {
		p = s.next(feed)
	}
	if index, _ := sample(p.Block.Data, 0); int64(index) != int64(r.Position)*Rate/int64(time.Second)%65536 {
		t.Errorf("goes on with sample %d, want %d", index, int64(r.Position)*Rate/int64(time.Second)%65536)
	}
	_, err = s.SeekRoom(t.Context(), tutti.Viewer{}, s.room, 1, 1500*time.Millisecond)
	must(t, err)
	if p = s.next(feed); p.Header == nil {
		t.Fatal("a seek goes on with the same program")
	}
	for p.Header != nil {
		p = s.next(feed)
	}
	if index, track := sample(p.Block.Data, 0); track != 2 || index != uint16(72000%65536) {
		t.Errorf("after the seek comes sample %d of track %d", index, track)
	}
}

// TestLateJoin: who comes later gets what is still to be heard, at once, with the same stamps as the others.
func TestLateJoin(t *testing.T) {
	s := open(t, 30*Rate)
	first := s.sit("a").Feed(PCM)
	s.next(first)
	s.play(1)
	stamps := map[uint16]time.Time{}
	for s.clock.Now().Sub(epoch) < startDelay+700*time.Millisecond {
		if p := s.next(first); p.Header == nil {
			index, _ := sample(p.Block.Data, 0)
			stamps[index] = p.Block.At
		}
	}
	now := s.clock.Now()
	late := s.sit("b").Feed(PCM)
	if p := s.next(late); p.Header == nil {
		t.Fatal("no header comes first")
	}
	p := s.next(late)
	if wait := p.Block.At.Sub(now); wait <= 0 || wait > 20*time.Millisecond {
		t.Errorf("the first sound is to be heard %v after joining", wait)
	}
	for range 30 {
		index, _ := sample(p.Block.Data, 0)
		if at, ok := stamps[index]; ok && !at.Equal(p.Block.At) {
			t.Fatalf("sample %d is heard at %v by one and at %v by the other", index, at, p.Block.At)
		}
		p = s.next(late)
	}
}

func TestRepeat(t *testing.T) {
	s := open(t, 2*blockSamples, 3*blockSamples)
	feed := s.sit("a").Feed(PCM)
	s.next(feed)
	all := tutti.RepeatAll
	_, err := s.ChangeRoom(t.Context(), tutti.Viewer{}, s.room, tutti.RoomChange{Repeat: &all})
	must(t, err)
	s.play(1, 2)
	var order []uint16
	for len(order) < 12 {
		if p := s.next(feed); p.Header == nil {
			_, track := sample(p.Block.Data, 0)
			order = append(order, track)
		}
	}
	for i, want := range []uint16{1, 1, 2, 2, 2, 1, 1, 2, 2, 2, 1, 1} {
		if order[i] != want {
			t.Fatalf("the tracks came as %v", order)
		}
	}
}

// TestWhatCannotBePlayed stops the room and says why; nothing else changes.
func TestWhatCannotBePlayed(t *testing.T) {
	s := open(t, Rate, Rate)
	s.seen.missing[trackID(1)] = true
	s.play(1, 2)
	for {
		runtime.Gosched()
		r, err := s.Room(t.Context(), tutti.Viewer{}, s.room)
		must(t, err)
		if r.Problem != "" {
			if r.Playing || r.Problem != "the folder is away" || len(r.Tracks) != 2 {
				t.Errorf("%+v", r)
			}
			break
		}
	}
	if _, err := s.PlayRoom(t.Context(), tutti.Viewer{}, s.room, tutti.RoomPlay{Tracks: []tutti.ID{trackID(9)}}); !tutti.IsKind(err, tutti.KindNotFound) {
		t.Errorf("an unknown track: %v", err)
	}
	if _, err := s.PlayRoom(t.Context(), tutti.Viewer{}, s.room, tutti.RoomPlay{Tracks: []tutti.ID{trackID(1)}, Current: 1}); !tutti.IsKind(err, tutti.KindInvalid) {
		t.Errorf("beyond the queue: %v", err)
	}
}

// TestWhatIsKept: rooms, their queues and places, and players outlive the process.
func TestWhatIsKept(t *testing.T) {
	fake := clock.NewFake(epoch)
	quiet := slog.New(slog.DiscardHandler)
	path := filepath.Join(t.TempDir(), "tutti.db")
	seen := &sounds{lengths: map[tutti.ID]int{trackID(1): 60 * Rate}}
	session := func(do func(h *House)) {
		st, err := sqlite.Open(t.Context(), path, sqlite.Options{Clock: clock.System, Logger: quiet})
		must(t, err)
		h, err := New(t.Context(), Config{Store: st, Planner: seen, Browser: seen, Source: seen, User: anybody, Clock: fake, Logger: quiet})
		must(t, err)
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- h.Run(ctx) }()
		do(h)
		stop()
		must(t, <-done)
		must(t, st.Close())
	}
	var kitchen tutti.ID
	session(func(h *House) {
		r, err := h.CreateRoom(t.Context(), tutti.Viewer{}, "Kitchen")
		must(t, err)
		kitchen = r.ID
		seat, err := h.Sit(t.Context(), Arrival{ID: "radio", Name: "Radio", Kind: "test", Address: "192.0.2.1"})
		must(t, err)
		volume, name := 30, "On the shelf"
		_, err = h.ChangeRoomPlayer(t.Context(), tutti.Viewer{}, "radio", tutti.RoomPlayerChange{Room: &kitchen, Volume: &volume, Name: &name})
		must(t, err)
		must(t, errKind(h.ForgetRoomPlayer(t.Context(), tutti.Viewer{}, "radio"), tutti.KindConflict))
		seat.Leave()
		_, err = h.PlayRoom(t.Context(), tutti.Viewer{}, kitchen, tutti.RoomPlay{Tracks: []tutti.ID{trackID(1)}, Position: 7 * time.Second})
		must(t, err)
		for range (startDelay + 2*time.Second) / (20 * time.Millisecond) {
			fake.WaitForTimers(1)
			fake.Advance(20 * time.Millisecond)
		}
	})
	session(func(h *House) {
		r, err := h.Room(t.Context(), tutti.Viewer{}, kitchen)
		must(t, err)
		// It is back at once, and plays on as if nothing had happened.
		if !r.Playing || (r.Position-9*time.Second).Abs() > 10*time.Millisecond || len(r.Tracks) != 1 || len(r.Players) != 1 || r.Players[0].Name != "On the shelf" || r.Players[0].Volume != 30 {
			t.Errorf("%+v", r)
		}
	})
	fake.Advance(time.Hour)
	session(func(h *House) {
		r, err := h.Room(t.Context(), tutti.Viewer{}, kitchen)
		must(t, err)
		if r.Playing || (r.Position-9*time.Second).Abs() > 10*time.Millisecond {
			t.Errorf("after an hour: %+v", r)
		}
		must(t, h.DeleteRoom(t.Context(), tutti.Viewer{}, kitchen))
		seat, err := h.Sit(t.Context(), Arrival{ID: "radio", Name: "Radio", Kind: "test", Address: "192.0.2.2"})
		must(t, err)
		if settings, _ := seat.Settings(); settings.Volume != 30 {
			t.Errorf("%+v", settings)
		}
		again, err := h.Sit(t.Context(), Arrival{ID: "radio", Name: "Radio", Kind: "test", Address: "192.0.2.2"})
		must(t, err)
		<-seat.Expelled()
		seat.Leave() // of who is gone already
		all, err := h.Rooms(t.Context(), tutti.Viewer{})
		must(t, err)
		if len(all) != 1 || len(all[0].Players) != 1 || !all[0].Players[0].Connected {
			t.Errorf("%+v", all)
		}
		again.Leave()
		must(t, h.ForgetRoomPlayer(t.Context(), tutti.Viewer{}, "radio"))
	})
}

func errKind(err error, kind tutti.Kind) error {
	if tutti.IsKind(err, kind) {
		return nil
	}
	return errors.Join(errors.New("want another kind of error"), err)
}

func FuzzHeader(f *testing.F) {
	f.Add(waveHeader())
	f.Add([]byte("RIFF\xff\xff\xff\xffWAVE"))
	f.Add(append(waveHeader()[:36], "LIST\x03\x00\x00\x00abc\x00data\x00\x00\x00\x00"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if at, err := parseHeader(b); err == nil && (at < 44 || at > int64(len(b))) {
			t.Errorf("samples begin at %d of %d", at, len(b))
		}
	})
}
