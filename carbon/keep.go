package carbon

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"tutti"
)

// keepEvery is how far apart what happened is kept, at least.
const keepEvery = time.Minute

// keepIdle is how old what was kept may be when somebody looks at a report, before it is kept again.
const keepIdle = time.Hour

// open takes up where the day's record ends.
func (m *Meter) open(ctx context.Context) error {
	const op = "carbon: read what was kept"
	m.wake = make(chan struct{}, 1)
	m.kept = m.c.Clock.Now()
	m.book = daybook{member: m.c.Member, hardware: m.c.Hardware, days: map[string]*Day{}}
	machine, err := readMachine(m.c.Proc, m.c.Cgroup)
	if err != nil {
		return tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	if hw := &m.book.hardware; hw.VCPUs <= 0 {
		hw.VCPUs = machine.vcpus
	}
	if hw := &m.book.hardware; hw.Memory <= 0 {
		hw.Memory = machine.memory
	}
	if !machine.inGroup {
		// Containers without limits see the same machine, and the same start of it. A kernel that does not say has one to itself.
		m.book.host, _ = readLine(filepath.Join(m.c.Proc, "sys/kernel/random/boot_id"))
	}
	if m.c.Ledger == nil {
		return nil
	}
	today := dateOf(m.c.Clock.Now())
	days, err := m.c.Ledger.Days(ctx, today, today)
	if err != nil {
		return tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	for _, d := range days {
		if d.Member == m.c.Member {
			m.book.days[d.Date] = &d
		}
	}
	return nil
}

// Played notes music that was sent. It costs next to nothing and does not wait for anything but another of its kind.
func (m *Meter) Played(p Play) {
	if p.Duration <= 0 || p.Bytes < 0 {
		return
	}
	at := m.c.Clock.Now()
	m.plays.Lock()
	m.played = append(m.played, dated{at, p})
	full := len(m.played) >= maxPlayed
	m.plays.Unlock()
	if full {
		m.mu.Lock()
		m.settlePlays()
		m.mu.Unlock()
	}
	m.Stir()
}

// dated is a play that has not been booked yet: booking waits for a look, which may wait for a plug.
type dated struct {
	at   time.Time
	play Play
}

const maxPlayed = 1000

// settlePlays books the plays; m.mu is held.
func (m *Meter) settlePlays() {
	m.plays.Lock()
	played := m.played
	m.played = nil
	m.plays.Unlock()
	for _, p := range played {
		m.book.play(p.at, p.play)
		m.hours += p.play.Duration.Hours()
	}
}

// Stir says that something has happened which is worth keeping.
func (m *Meter) Stir() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// Run keeps what happens until ctx ends, and then once more. It sleeps for as long as nothing happens, but no longer than
// MeterConfig.Every.
func (m *Meter) Run(ctx context.Context) error {
	for {
		var due <-chan time.Time
		stop := func() bool { return false }
		if m.c.Every > 0 {
			t := m.c.Clock.NewTimer(m.c.Every)
			due, stop = t.C(), t.Stop
		}
		select {
		case <-ctx.Done():
			stop()
			return m.keepLast(ctx)
		case <-m.wake:
			stop()
		case <-due:
		}
		m.mu.Lock()
		wait := keepEvery - m.c.Clock.Now().Sub(m.kept)
		m.mu.Unlock()
		if wait > 0 {
			t := m.c.Clock.NewTimer(min(wait, keepEvery))
			select {
			case <-ctx.Done():
				t.Stop()
				return m.keepLast(ctx)
			case <-t.C():
			}
		}
		m.mu.Lock()
		err := errors.Join(m.lookLocked(ctx), m.keepLocked(ctx))
		m.mu.Unlock()
		if err != nil && ctx.Err() == nil {
			m.c.Logger.WarnContext(ctx, "what energy was used for could not be kept; it is tried again with what happens next", "err", err)
		}
	}
}

// lastWait is how long the last record may take to be kept.
const lastWait = 2 * time.Second

func (m *Meter) keepLast(ctx context.Context) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer m.c.Clock.AfterFunc(lastWait, cancel).Stop()
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := errors.Join(m.lookLocked(ctx), m.keepLocked(ctx)); err != nil {
		m.c.Logger.Warn("what energy was used for since it was last kept is lost", "err", err)
	}
	return nil
}

// keepLocked writes the days that are not finished, and forgets those that are.
func (m *Meter) keepLocked(ctx context.Context) error {
	m.settlePlays()
	m.kept = m.c.Clock.Now()
	if m.c.Ledger == nil {
		return nil
	}
	today := dateOf(m.kept)
	for date, d := range m.book.days {
		if err := m.c.Ledger.Keep(ctx, *d); err != nil {
			return tutti.Wrap(tutti.KindUnavailable, "carbon: keep a day", err)
		}
		if date < today {
			delete(m.book.days, date)
		}
	}
	return nil
}

// Manifest writes the year as a manifest of the Impact Framework: see ManifestOf. It returns KindNotFound
// while nothing has been streamed.
func (m *Meter) Manifest(ctx context.Context) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.lookLocked(ctx); err != nil {
		return "", err
	}
	now := m.c.Clock.Now()
	days, err := m.days(ctx, yearBefore(now))
	if err != nil {
		return "", err
	}
	return ManifestOf(days, now, m.now)
}

// days returns the records from a day to today, of all members, with what this one has not kept yet.
func (m *Meter) days(ctx context.Context, from string) ([]Day, error) {
	now := m.c.Clock.Now()
	if now.Sub(m.kept) >= keepIdle {
		if err := m.keepLocked(ctx); err != nil {
			return nil, err
		}
	}
	m.settlePlays()
	var days []Day
	if m.c.Ledger != nil {
		var err error
		if days, err = m.c.Ledger.Days(ctx, from, dateOf(now)); err != nil {
			return nil, err
		}
	}
	days = slices.DeleteFunc(days, func(d Day) bool { return d.Member == m.c.Member && m.book.days[d.Date] != nil })
	for _, d := range m.book.days {
		copied := Day{Date: d.Date, Member: d.Member, Host: d.Host, Hardware: d.Hardware}
		copied.add(d) // the maps go on changing
		days = append(days, copied)
	}
	return days, nil
}
